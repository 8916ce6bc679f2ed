import { AppError } from '#model/errors.ts'

const LINE_END = 0x0a
const BACKSLASH = 0x5c
const DOT = 0x2e

/**
 * Looks over rows in the text format of COPY on their way into a file: a line that begins with `\.` would end the block, and
 * psql would take what follows for commands (hazard D13). No server sends one.
 */
export class CopyRows {
  /** The last two bytes of what was looked at, so that a mark that comes in two pieces is seen. */
  #last = [LINE_END, LINE_END]

  /** @throws AppError `unsafe_definition` */
  look(chunk: Uint8Array): void {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    const [first, second] = this.#last
    if (second === LINE_END && first !== undefined && bytes[0] === BACKSLASH && bytes[1] === DOT) throw unsafe()
    if (first === LINE_END && second === BACKSLASH && bytes[0] === DOT) throw unsafe()
    if (bytes.includes('\n\\.')) throw unsafe()
    this.#last = [bytes.at(-2) ?? second ?? LINE_END, bytes.at(-1) ?? LINE_END]
  }
}

/** How many rows end in a piece of the text format, in which every row is a line. */
export function linesIn(bytes: Buffer): number {
  let lines = 0
  for (let at = bytes.indexOf(LINE_END); at >= 0; at = bytes.indexOf(LINE_END, at + 1)) lines += 1
  return lines
}

function unsafe(): AppError {
  return new AppError('unsafe_definition', 'The server sent a row that would end the block of rows in the dump.')
}
