import { InvalidRequest } from '#api/problem.ts'

/** Objects and arrays inside one another. */
const DEEPEST = 64

/** Names that reach into an object's prototype where a value is copied by name (S26). */
const PROTOTYPE_NAME = '__proto__'

/** Reads a body as JSON. An empty one is no body. @throws InvalidRequest */
export function parseJsonBody(text: string): unknown {
  if (text.trim() === '') return undefined
  refuseDepth(text)
  try {
    return JSON.parse(text, refuseUnfit)
  } catch (error) {
    if (error instanceof InvalidRequest) throw error
    throw unfit('This is not JSON.')
  }
}

/** Counts brackets before anything is built from them (S58). */
function refuseDepth(text: string): void {
  let depth = 0
  let inText = false
  for (let i = 0; i < text.length; i++) {
    const mark = text[i]
    if (inText) {
      if (mark === '\\') i++
      else if (mark === '"') inText = false
    } else if (mark === '"') inText = true
    else if (mark === '{' || mark === '[') {
      if (++depth > DEEPEST) {
        throw unfit(`Objects and arrays may be ${DEEPEST} deep.`)
      }
    } else if (mark === '}' || mark === ']') depth--
  }
}

/** Refuses names of the prototype, and the character U+0000, which PostgreSQL cannot keep in a text. */
function refuseUnfit(name: string, value: unknown): unknown {
  if (name === PROTOTYPE_NAME) throw unfit(`The name ${PROTOTYPE_NAME} cannot be used.`)
  if (name.includes('\0') || (typeof value === 'string' && value.includes('\0'))) {
    throw unfit('A text cannot hold the character U+0000.')
  }
  return value
}

function unfit(message: string): InvalidRequest {
  return new InvalidRequest([{ place: 'body#', message }])
}
