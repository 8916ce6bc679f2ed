import { compileFunction } from 'node:vm'

/** Characters of the code of one field. */
export const MAX_CODE = 65_536

/** Why a text is not the body of a function of `row`, or null. It is read and not run. */
export function codeProblem(code: string): string | null {
  if (code.length > MAX_CODE) return `it is longer than ${MAX_CODE} characters`
  try {
    compileFunction(`'use strict';${code}\n`, ['row'])
    return null
  } catch (error) {
    return error instanceof SyntaxError ? error.message : 'it is nested too deep'
  }
}

const MENTION = /\brow\b/g
const NAMED =
  /\brow\s*(?:\?\.|\.)\s*([\p{ID_Start}$_][\p{ID_Continue}$]*)|\brow\s*(?:\?\.)?\[\s*(?:"([^"\\]*)"|'([^'\\]*)')\s*\]/gu

/** The columns that code names; all of them where it takes the row in a way that does not say. */
export function columnsOfCode<C extends { readonly name: string }>(code: string, columns: readonly C[]): readonly C[] {
  const named = [...code.matchAll(NAMED)].map((match) => match[1] ?? match[2] ?? match[3] ?? '')
  if (named.length !== (code.match(MENTION) ?? []).length) return columns
  return columns.filter(({ name }) => named.includes(name))
}

/** One function body for several fields: it returns an object with the value of each. A failure names its field. */
export function joinCode(fields: readonly { readonly name: string; readonly text: string }[]): string {
  const parts = fields.map(({ name, text }) => {
    const field = JSON.stringify(name)
    return `${field}: (() => { try { return (() => {${text}\n})() } catch (e) { throw new Error(${field} + ': ' + (e && e.message || e)) } })()`
  })
  return `return { ${parts.join(',\n')} }`
}
