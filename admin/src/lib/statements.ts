/** A text of the service, with the SQL in it told apart: what somebody copies and runs. */
export interface Advice {
  readonly words: string
  readonly sql: string
}

const STATEMENT = /(?:GRANT|ALTER (?:ROLE|SYSTEM|DATABASE))\s(?:"(?:[^"]|"")*"|[^;"])*;/g

/** Takes the statements out of a piece of advice; what stands before them stays as words. */
export function readAdvice(text: string): Advice {
  const sql = text.match(STATEMENT) ?? []
  const words = text.replaceAll(STATEMENT, ' ').replaceAll(/\s+/g, ' ').trim()
  return { words: sql.length > 0 ? words.replace(/:$/, '.') : words, sql: sql.join('\n') }
}
