import { isNode, LineCounter, parseDocument, type Document } from 'yaml'
import { ConfigFile } from '#api/contract/config-file.ts'
import { fit } from '#lib/schema-words.ts'
import { acceptOtherNames } from '#model/config-document.ts'
import { AppError } from '#model/errors.ts'

/** Something in a file that is not as it should be. Lines and columns begin at 1. */
export interface FileProblem {
  readonly line: number
  readonly column: number
  /** The way to it from the top: `sync_configs[0].tables[2].source`. */
  readonly path: string
  readonly message: string
}

export type ReadFile =
  | { readonly problems: readonly FileProblem[]; readonly file: null }
  | { readonly problems: readonly []; readonly file: ConfigFile }

/** Reads a configuration file: YAML 1.2, of which JSON is a part. All problems are told at once, with their places. */
export function readConfigFile(text: string): ReadFile {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true, schema: 'core', merge: false })
  const at = (offset: number): Pick<FileProblem, 'line' | 'column'> => {
    const { line, col } = lines.linePos(offset)
    return { line: Math.max(1, line), column: Math.max(1, col) }
  }
  if (document.errors.length > 0) {
    const problems = document.errors.map(({ pos, message }) => {
      return { ...at(pos[0]), path: '', message: firstLine(message) }
    })
    return { problems, file: null }
  }
  const value = withOwnNames(toPlain(document))
  const checked = fit(ConfigFile, value)
  if (checked.flaws === null) return { problems: [], file: checked.value }
  const problems = checked.flaws.map(({ path, message }) => {
    return { ...at(offsetOf(document, path)), path: writePath(path), message }
  })
  return { problems: problems.toSorted((a, b) => a.line - b.line || a.column - b.column), file: null }
}

/** @throws AppError `invalid_request` that names every place */
export function mustReadConfigFile(text: string, name: string): ConfigFile {
  const { file, problems } = readConfigFile(text)
  if (file !== null) return file
  const places = problems.map((problem) => formatProblem(problem, name))
  throw new AppError('invalid_request', [`${name} cannot be used.`, ...places].join('\n  '))
}

export function formatProblem({ line, column, path, message }: FileProblem, name: string): string {
  return `${name}:${line}:${column}: ${path === '' ? '' : `${path}: `}${message}`
}

/** Anchors that blow up are refused by the parser's own limit. */
function toPlain(document: Document): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 }) as unknown
  } catch (error) {
    throw new AppError('invalid_request', `The file refers to itself too often: ${String(error)}.`, { cause: error })
  }
}

function withOwnNames(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value ?? {}
  return Object.fromEntries(
    Object.entries(value).map(([name, field]: [string, unknown]) => [
      name,
      name === 'sync_configs' && Array.isArray(field) ? field.map(acceptOtherNames) : field,
    ]),
  )
}

type Path = readonly PropertyKey[]

/** Where the thing at a path stands; where it is missing, the nearest thing around it. */
function offsetOf(document: Document, path: Path): number {
  for (let length = path.length; length >= 0; length--) {
    const part = path.slice(0, length)
    const key = keyOffset(document, part)
    if (key !== null) return key
    const node: unknown = part.length === 0 ? document.contents : document.getIn(part, true)
    if (isNode(node) && node.range) return node.range[0]
  }
  return 0
}

/** The offset of a field's name, which tells more than that of its value. */
function keyOffset(document: Document, path: Path): number | null {
  const name = path.at(-1)
  if (typeof name !== 'string') return null
  const parent: unknown = path.length === 1 ? document.contents : document.getIn(path.slice(0, -1), true)
  if (typeof parent !== 'object' || parent === null || !('items' in parent) || !Array.isArray(parent.items)) return null
  for (const item of parent.items as readonly { key?: unknown }[]) {
    const { key } = item
    if (isNode(key) && 'value' in key && key.value === name && key.range) return key.range[0]
  }
  return null
}

function writePath(path: Path): string {
  return path.reduce<string>(
    (text, part) =>
      typeof part === 'number' ? `${text}[${part}]` : text === '' ? String(part) : `${text}.${String(part)}`,
    '',
  )
}

function firstLine(message: string): string {
  return (message.split('\n')[0] ?? '').replace(/ at line \d+, column \d+:?$/, '.')
}
