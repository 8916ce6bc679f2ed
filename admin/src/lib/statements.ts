/** A text of the service, with the SQL in it told apart: what somebody copies and runs. */
export interface Advice {
  readonly words: string
  readonly sql: string
}

const STATEMENT = /(?:GRANT|ALTER (?:ROLE|SYSTEM|DATABASE))\s(?:"(?:[^"]|"")*"|[^;"])*;/g

/** Takes the statements out of a piece of advice that ends with them; words around them are kept whole. */
export function readAdvice(text: string): Advice {
  const sql = text.match(STATEMENT) ?? []
  const before = text.slice(0, sql.length === 0 ? text.length : text.indexOf(sql[0] ?? '')).trim()
  const isEnd = text.trim().endsWith(`${before} ${sql.join(' ')}`.trim())
  return { words: isEnd ? before.replace(/:$/, sql.length > 0 ? '.' : ':') : text, sql: sql.join('\n') }
}
