/** What jobs of dumps and copies were asked for and came to, for people, from the JSON of the API. */
import { asObject } from '#api/client.ts'
import { calledAs } from '#service/config.ts'
import { formatBytes, plural, printable, shellWords } from './format.ts'

type Fields = Readonly<Record<string, unknown>>

const KINDS = ['export', 'import', 'copy', 'drill'] as const
type DumpJobKind = (typeof KINDS)[number]

export function isDumpJob({ kind }: Fields): boolean {
  return KINDS.some((one) => one === kind)
}

/** What it was asked for. `nameOf` names a datasource by its id. */
export function askedLines(job: Fields, nameOf: (id: string) => string): string[] {
  const kind = KINDS.find((one) => one === job['kind'])
  if (kind === undefined) return []
  const asked = asObject(job[kind])
  return [betweenLine(kind, job, nameOf), ...extentLines(asked), ...ruleLines(asked), ...consentLines(asked)]
}

function betweenLine(kind: DumpJobKind, job: Fields, nameOf: (id: string) => string): string {
  const [source, target] = [job['source_datasource_id'], job['target_datasource_id']].map((id) => nameOf(String(id)))
  const dump = String(asObject(job[kind])['dump'])
  switch (kind) {
    case 'export':
      return `of ${source}`
    case 'import':
      return `of ${dump} into ${target}`
    case 'copy':
      return `of ${source} into ${target}`
    case 'drill':
      return `of ${dump} on the server of ${target}`
  }
}

const CONTENTS: Readonly<Record<string, string>> = {
  all: 'definitions and rows',
  schema: 'definitions alone',
  data: 'rows alone',
}

function extentLines(asked: Fields): string[] {
  const { content, schemas, exclude_schemas: notSchemas, tables, exclude_tables: notRows } = asked
  const named = (word: string, names: unknown): string[] =>
    listOf(names).length === 0 ? [] : [`  ${word}: ${listOf(names).map(textOf).join(', ')}`]
  return [
    ...(typeof content === 'string' ? [`  ${CONTENTS[content] ?? content}`] : []),
    ...named('only the schemas', schemas),
    ...named('without the schemas', notSchemas),
    ...named('only the tables', tables),
    ...named('without the rows of', notRows),
  ]
}

function ruleLines({ filters, masks }: Fields): string[] {
  return [
    ...listOf(filters)
      .map(asObject)
      .map(({ table, where }) => `  rows of ${textOf(table)}: ${textOf(where)}`),
    ...listOf(masks)
      .map(asObject)
      .map(({ table, column, transforms }) => {
        const steps = listOf(transforms).map(textOf).join(', ')
        return `  masks ${textOf(table)}.${textOf(column)}: ${steps}`
      }),
  ]
}

const CONSENTS: Readonly<Record<string, string>> = {
  replace: 'what is there is replaced',
  swap: 'it can be read until the end, and is exchanged then',
  trust_file: 'the file may do whatever the login may',
  trust_source: 'the source may do whatever the login may',
  owners: 'with who owns what',
  grants: 'with who has been granted what',
}

function consentLines(asked: Fields): string[] {
  const agreed = Object.entries(CONSENTS).flatMap(([name, words]) => (asked[name] === true ? [`  ${words}`] : []))
  const { replace, backup, passphrase_reference: passphrase } = asked
  return [
    ...agreed,
    ...(replace === true && backup === false ? ['  no backup is kept of it'] : []),
    ...(typeof passphrase === 'string' ? [`  the passphrase is in ${textOf(passphrase)}`] : []),
  ]
}

/** What it came to: what was written and proved, what keeps what was replaced, and how that is brought back. */
export function cameToLines(job: Fields, receipt: Fields, nameOf: (id: string) => string): string[] {
  const notes = listOf(receipt['notes']).map((note) => `note: ${textOf(note)}`)
  switch (KINDS.find((one) => one === job['kind'])) {
    case 'export': {
      const { file, bytes } = asObject(receipt['dump'])
      return [...notes, `${textOf(file)}: ${rowsOf(receipt)}, ${formatBytes(Number(bytes))}`]
    }
    case 'import':
    case 'copy':
      return [...notes, ...restoredLines(job, receipt, nameOf(String(job['target_datasource_id'])))]
    case 'drill':
      return [...notes, ...drilledLines(receipt)]
    case undefined:
      return []
  }
}

function restoredLines(job: Fields, receipt: Fields, target: string): string[] {
  const { replaced, takes_back: back, backup, moment, refusals } = receipt
  const isPlan = job['dry_run'] === true
  const amount = (word: string, things: unknown): string[] =>
    listOf(things).length === 0 ? [] : [`${isPlan ? 'would ' : ''}${word} ${plural(listOf(things).length, 'object')}`]
  return [
    ...(typeof moment === 'string' ? [`of the moment ${printable(moment)}`] : []),
    `${isPlan ? 'would write' : 'wrote'} ${rowsOf(receipt)}, in one transaction`,
    ...amount(isPlan ? 'replace' : 'replaced', replaced),
    ...amount(isPlan ? 'take back' : 'took back', back),
    ...listOf(refusals)
      .map(asObject)
      .map(({ code, message }) => `refused: ${textOf(message)} (${textOf(code)})`),
    ...(typeof backup === 'string' ? [`what was replaced is kept in ${backup}; this brings it back:`] : []),
    ...(typeof backup === 'string' ? [`  ${restoreCommand(job, { backup, target })}`] : []),
  ]
}

/** The login is the one that the restore was done with, so that what was trusted then is trusted now. */
function restoreCommand(job: Fields, { backup, target }: { readonly backup: string; readonly target: string }): string {
  const trusted = asObject(job['copy'])['trust_source'] === true || asObject(job['import'])['trust_file'] === true
  const flags = ['--replace', '--owners', '--grants', ...(trusted ? ['--trust-file'] : []), '--yes']
  return `${calledAs()} ${shellWords(['import', target, backup, ...flags])}`
}

function drilledLines(receipt: Fields): string[] {
  const { works, server, constraints, definitions, faults } = receipt
  const proved = [
    rowsOf(receipt),
    plural(Number(constraints), 'constraint'),
    definitions === 'same texts' ? 'definitions as the same texts' : 'definitions by their names',
  ]
  return works === true
    ? [`It works on ${textOf(server)}: ${proved.join(', ')}.`]
    : [`It does not work on ${textOf(server)}:`, ...listOf(faults).map((fault) => `  ${textOf(fault)}`)]
}

function rowsOf({ tables, rows, estimated }: Fields): string {
  const count = plural(listOf(tables).length, 'table')
  if (typeof rows !== 'number') return count
  return `${count}, ${estimated === true ? 'about ' : ''}${plural(rows, 'row')}`
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

function textOf(value: unknown): string {
  return printable(typeof value === 'string' ? value : JSON.stringify(value))
}
