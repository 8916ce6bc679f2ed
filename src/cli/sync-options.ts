import { InvalidArgumentError, Option, type Command } from 'commander'
import { DETECTION_STRATEGIES, type DetectionStrategy } from '#model/detection.ts'
import { ENVIRONMENTS, parseEnvironment, type Environment } from '#model/environment.ts'
import { BASELINES, DEFAULT_POLICIES, type Policies } from '#model/sync-config.ts'
import { readZeroDates, ZERO_DATES_HELP, type ZeroDates } from '#model/zero-dates.ts'
import { judgeUrl, type OneLineRequest } from '#service/one-line.ts'
import { readReference } from '#service/reference.ts'
import type { Output } from './output.ts'
import { NAMES_HELP, type TableFlags } from './table-options.ts'

export const ENDS_HELP = `
SOURCE and TARGET are URLs such as postgres://user:password@host:5432/database?sslmode=verify-full, or name a place that
holds one, so that no password stands on the command line: env:NAME for a variable, file:PATH for a file. No other
variable of the environment (PGPASSWORD, PGHOST, DATABASE_URL, …) has any effect.
`

/** How tables and columns are chosen; the same for every command that compares two sides. */
export function addTableFlags(command: Command, flags: TableFlags): Command {
  return command
    .option('--table <name[:target]>', 'only this table, under another name in the target; repeatable', flags.addTable)
    .option('--exclude-table <name>', 'not this table; repeatable', flags.addExcludedTable)
    .option('--columns <table=a,b>', 'only these columns of a table', flags.addColumns)
    .option('--exclude <table=a,b>', 'not these columns of a table', flags.addExcluded)
    .option('--rename <table.column=name>', 'the column has another name in the target', flags.addRename)
    .option('--key <table=a,b>', 'columns that identify a row, where no primary key does', flags.addKey)
    .addHelpText('after', `${ENDS_HELP}${NAMES_HELP}`)
}

export function addComparisonFlags(
  command: Command,
  strategies: readonly DetectionStrategy[] = ['hash', 'full'],
): Command {
  return command
    .addOption(strategy(strategies))
    .option('--parallel <n>', 'connections at work at once on each side', count(1, 32), DEFAULT_POLICIES.parallel)
}

export function addPolicyFlags(command: Command): Command {
  const d = DEFAULT_POLICIES
  return addComparisonFlags(command, DETECTION_STRATEGIES)
    .option('--cursor-column <name>', 'the column that the strategies timestamp and rowversion go by')
    .option('--create', 'make the tables that the target lacks')
    .option('--add-columns', 'add the columns that the target lacks, as the source has them')
    .option('--delete', 'delete rows of the target that the source no longer has')
    .addOption(
      new Option('--delete-scope <scope>', 'which rows --delete may delete: those that this sync wrote, or all')
        .choices(['owned', 'mirror'])
        .default(d.deleteScope),
    )
    .option('--max-delete-percent <n>', 'stop before deleting more of a table', percent, d.maxDeletePercent)
    .option('--approve-deletes <n>', 'delete this very number of rows, whatever the percentage', count(0))
    .option('--max-overwrite-percent <n>', 'stop before overwriting more of a table (on first contact: 10)', percent)
    .option('--approve-overwrites <n>', 'overwrite this very number of rows, whatever the percentage', count(0))
    .addOption(
      new Option('--verify <how>', 'prove the result: every row, the changed ones, as the run suggests, or not')
        .choices(['auto', 'full', 'changed', 'off'])
        .default(d.verifyAfter),
    )
    .addOption(
      new Option('--baseline <kind>', 'what the target remembers of each row')
        .choices([...BASELINES])
        .default(d.baseline),
    )
    .option('--batch-size <n>', 'rows in one transaction', count(1, 100_000), d.batchSize)
    .option(
      '--zero-dates <what>',
      'dates such as 0000-00-00: reject, keep, null, or the day that stands in their place (default: reject)',
      zeroDates,
    )
    .option(
      '--max-rejections <n>',
      'stop when more rows than this are refused by the target',
      count(0),
      d.maxRejections,
    )
}

/** Comparison options as commander hands them over. */
export interface ComparisonFlags {
  readonly strategy: Policies['detectionStrategy']
  readonly parallel: number
}

export interface PolicyFlags extends ComparisonFlags {
  readonly cursorColumn?: string
  readonly create?: true
  readonly addColumns?: true
  readonly delete?: true
  readonly deleteScope: Policies['deleteScope']
  readonly maxDeletePercent: number
  readonly approveDeletes?: number
  readonly maxOverwritePercent?: number
  readonly approveOverwrites?: number
  readonly verify: Policies['verifyAfter']
  readonly baseline: Policies['baseline']
  readonly batchSize: number
  readonly maxRejections: number
  readonly zeroDates?: ZeroDates
}

export function toPolicies(flags: PolicyFlags): Policies {
  return {
    detectionStrategy: flags.strategy,
    cursorColumn: flags.cursorColumn ?? null,
    cursorWindowSeconds: DEFAULT_POLICIES.cursorWindowSeconds,
    deleteCheckHours: DEFAULT_POLICIES.deleteCheckHours,
    direction: DEFAULT_POLICIES.direction,
    conflictStrategy: DEFAULT_POLICIES.conflictStrategy,
    newerBy: DEFAULT_POLICIES.newerBy,
    tieBreak: DEFAULT_POLICIES.tieBreak,
    deletePolicy: flags.delete ? 'delete' : 'ignore',
    deleteScope: flags.deleteScope,
    maxDeletePercent: flags.maxDeletePercent,
    approvedDeletes: flags.approveDeletes ?? null,
    maxOverwritePercent: flags.maxOverwritePercent ?? null,
    approvedOverwrites: flags.approveOverwrites ?? null,
    baseline: flags.baseline,
    verifyAfter: flags.verify,
    create: flags.create ?? false,
    newColumns: flags.addColumns ? 'add' : DEFAULT_POLICIES.newColumns,
    batchSize: flags.batchSize,
    parallel: flags.parallel,
    parallelTables: null,
    parallelPieces: null,
    maxRejections: flags.maxRejections,
    zeroDates: flags.zeroDates ?? DEFAULT_POLICIES.zeroDates,
  }
}

/**
 * Reads where source and target are, and warns of a password that every user of the machine can see.
 * @throws AppError `invalid_url`
 */
export function toRequest(
  ends: { source: string; target: string },
  of: { tables: TableFlags; policies: Policies },
  output: Output,
): OneLineRequest {
  const source = readReference(ends.source)
  const target = readReference(ends.target)
  if (source.exposed || target.exposed) {
    output.warn('a password stands on the command line, where others can read it; env:NAME or file:PATH keeps it away.')
  }
  judgeUrl('source', source)
  judgeUrl('target', target)
  return { source, target, tables: of.tables.choice, policies: of.policies }
}

export function readEnvironment(word: string): Environment {
  const environment = parseEnvironment(word)
  if (environment === null) throw new InvalidArgumentError(`It is one of ${ENVIRONMENTS.join(', ')}.`)
  return environment
}

function strategy(strategies: readonly DetectionStrategy[]): Option {
  return new Option('--strategy <how>', 'how changes are found: by digests, row by row, or as docs/detection.md says')
    .choices(strategies)
    .default(DEFAULT_POLICIES.detectionStrategy)
}

/** Of an option that is given again and again. */
export function collect(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text]
}

export function count(least: number, most = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const n = Number(text)
    if (/^\d+$/.test(text) && n >= least && n <= most) return n
    const bounds = most === Number.MAX_SAFE_INTEGER ? `from ${least} on` : `from ${least} to ${most}`
    throw new InvalidArgumentError(`It is a whole number ${bounds}.`)
  }
}

function zeroDates(text: string): ZeroDates {
  const read = readZeroDates(text)
  if (read === null) throw new InvalidArgumentError(ZERO_DATES_HELP)
  return read
}

function percent(text: string): number {
  const n = Number(text)
  if (/^\d+(\.\d+)?$/.test(text) && n <= 100) return n
  throw new InvalidArgumentError('It is a number from 0 to 100.')
}
