import type { DumpReader } from './dump-file.ts'
import type { DumpItem } from './dump-item.ts'
import { SqlLexer } from './sql-lexer.ts'

export interface ItemHooks {
  /** Given every byte of the SQL before what it completes. */
  readonly tap?: (bytes: Buffer) => void
  /** What an error of the text stands for, by the bytes up to it. */
  readonly judge?: (error: unknown) => unknown
}

/** The items of a dump, in their order. @throws AppError as `DumpReader.bytes`; as `SqlLexer`, judged */
export async function* readItems(
  reader: DumpReader,
  maxStatementBytes: number,
  { tap, judge = (error) => error }: ItemHooks = {},
): AsyncGenerator<DumpItem> {
  const lexer = new SqlLexer(maxStatementBytes)
  const judged = (lex: () => readonly DumpItem[]): readonly DumpItem[] => {
    try {
      return lex()
    } catch (error) {
      throw judge(error)
    }
  }
  for await (const bytes of reader.bytes()) {
    tap?.(bytes)
    yield* judged(() => lexer.push(bytes))
  }
  yield* judged(() => lexer.end())
}
