import { randomUUID } from 'node:crypto'
import { Option, type Command } from 'commander'
import type { z } from 'zod'
import { asObject, type ApiClient } from '#api/client.ts'
import { CarriedOut, Conflict, ConflictPage, ConflictRules, Resolved, ResolvedMany } from '#api/contract/conflicts.ts'
import type { Context, Outcome, Runner } from '#cli/command.ts'
import { formatCount, plural } from '#cli/format.ts'
import { carriedLine, conflictLines, groupLines, listLines, ruleLines, selectionLines } from '#cli/report-conflicts.ts'
import { addServiceFlags, withService } from '#cli/service-flags.ts'
import { CONFLICT_KINDS, CONFLICT_STATUSES } from '#model/conflict.ts'
import { AppError, EXIT } from '#model/errors.ts'
import { consentBody } from './approve.ts'
import { watchJob } from './jobs.ts'

const RESOLVE_HELP = `
Decides rows that both sides changed. One by its id: the row of the source or of the target, neither (skip), or a row that you
build with --set. Many with --config or --job, and --all or filters: what it would be about is shown first, and decided as it
was shown or not at all. Then a run is started that carries it out, and followed to its end. Of a unique_clash, the side whose row is
kept out gets its row written: the row in the way loses the value that both want, if it can be NULL. The other side: all stays
there as it is.

Examples:
  syncline conflicts resolve CONFLICT --take target
  syncline conflicts resolve CONFLICT --set name='Both of them' --null nickname
  syncline conflicts resolve --config 'shop copy' --table orders --kind update_update --take source
  syncline conflicts resolve --config 'shop copy' --all --take target --yes
  syncline conflicts resolve CONFLICT --take source --remember
`

interface FilterFlags {
  readonly table?: string
  readonly kind?: string
  readonly field?: string
  readonly key?: string
}

interface ListFlags extends FilterFlags {
  readonly config?: string
  readonly job?: string
  readonly status: string
  readonly limit: string
}

interface ResolveFlags extends FilterFlags {
  readonly config?: string
  readonly job?: string
  readonly status?: string
  readonly all?: true
  readonly take?: 'source' | 'target' | 'skip'
  readonly set?: readonly string[]
  readonly null?: readonly string[]
  readonly rest?: string
  readonly remove?: true
  readonly asOf?: string
  readonly dryRun?: true
  /** `--no-start` and `--no-input` make them false. */
  readonly start: boolean
  readonly input: boolean
  readonly detach?: true
  readonly yes?: true
  readonly allowProtectedWrite?: true
  readonly confirm?: string
  readonly remember?: true
  readonly anyFields?: true
}

type CarryOutFlags = Pick<ResolveFlags, 'config' | 'job' | 'detach' | 'allowProtectedWrite' | 'confirm'>

/** Rows that both sides changed, and what people decide about them. */
export function addConflicts(program: Command, run: Runner): void {
  const group = program.command('conflicts').helpCommand(false).description('rows that both sides changed')
  addLooking(group, run)
  addResolve(group, run)
  addCarryOut(group, run)
  addRules(group, run)
}

function addLooking(group: Command, run: Runner): void {
  const list = addFilters(group.command('list').description('conflicts, in the order in which they were found'))
    .option('--status <status>', `of ${CONFLICT_STATUSES.join(', ')}, with commas between`, 'open,resolved')
    .option('--limit <n>', 'conflicts to show, up to 1000', '100')
  addServiceFlags(list).action(async (flags: ListFlags) =>
    withService(run, list, (client) => listConflicts(client, flags)),
  )
  const show = group.command('show <id>').description('one conflict: both rows, and where they differ')
  addServiceFlags(show).action(async (id: string) =>
    withService(run, show, async (client) => {
      const found = Conflict.parse(await client.get(`/conflicts/${encodeURIComponent(id)}`))
      return { exit: EXIT.done, summary: found.status, result: found, lines: conflictLines(found) }
    }),
  )
}

function addResolve(group: Command, run: Runner): void {
  const resolve = addFilters(group.command('resolve [id]').description('decide one conflict, or many at once'))
    .addOption(new Option('--take <what>', 'the row of this side, or neither').choices(['source', 'target', 'skip']))
    .option('--set <column=value...>', 'build a row: with these values')
    .option('--null <column...>', 'build a row: with NULL in these columns')
    .addOption(
      new Option('--rest <side>', 'build a row: where all other columns come from').choices([
        'merged',
        'source',
        'target',
      ]),
    )
    .option('--remove', 'there is to be no row')
    .option('--as-of <version>', 'only if the conflict is still at the version that show printed')
    .option('--all', 'all that are open')
    .option('--status <status>', 'in place of open: resolved or applied, with commas between')
    .option('--dry-run', 'show what it would be about, and decide nothing')
    .option(
      '--remember',
      'decide all later conflicts of the same sort alike: table, kind, and columns that both sides changed',
    )
    .option('--any-fields', 'with --remember: whichever columns both sides changed')
    .option('--no-start', 'start no run: the next one carries it out')
    .option('--detach', 'start the run that carries it out, and do not wait for it')
    .option('--yes', 'decide without asking')
    .option('--no-input', 'never ask: without --yes, refuse')
    .option('--allow-protected-write', 'write although the environment of the target is protected')
    .option('--confirm <name>', 'the name of the target, where the service asks for it')
    .addHelpText('after', RESOLVE_HELP)
  addServiceFlags(resolve).action(async (id: string | undefined, flags: ResolveFlags) =>
    withService(run, resolve, (client, context) =>
      id === undefined ? resolveMany(client, flags, context) : resolveOne(client, { id, flags }, context),
    ),
  )
}

function addCarryOut(group: Command, run: Runner): void {
  const carry = group
    .command('carry-out')
    .description('start the run that carries out what was decided with --no-start')
    .option('--config <config>', 'conflicts of this sync config')
    .option('--job <job>', 'conflicts that this job saw')
    .option('--detach', 'start the run, and do not wait for it')
    .option('--allow-protected-write', 'write although the environment of the target is protected')
    .option('--confirm <name>', 'the name of the target, where the service asks for it')
  addServiceFlags(carry).action(async (flags: CarryOutFlags) =>
    withService(run, carry, async (client, context) => {
      const { config, job } = flags
      if (config === undefined && job === undefined) throw new AppError('usage', 'Say whose: --config, --job or both.')
      const path =
        config === undefined
          ? `/sync/conflicts/${encodeURIComponent(job ?? '')}/carry-out`
          : `/sync/${encodeURIComponent(config)}/carry-out`
      const body = { ...consentBody(flags), ...(config === undefined ? {} : given({ job })) }
      const result = CarriedOut.parse(await client.post(path, body, { idempotencyKey: randomUUID() }))
      if (result.conflicts > 0) {
        return follow(client, { decided: plural(result.conflicts, 'decision'), result, flags }, context)
      }
      const summary = 'there is no decision to carry out'
      return { exit: EXIT.done, summary, result, lines: [summary] }
    }),
  )
  const withdraw = group.command('withdraw <id>').description('take a decision back that no run has carried out')
  addServiceFlags(withdraw).action(async (id: string) =>
    withService(run, withdraw, async (client) => {
      const result = Conflict.parse(await client.post(`/conflicts/${encodeURIComponent(id)}/withdraw`, {}))
      const summary = `${id} is ${result.status}`
      return { exit: EXIT.done, summary, result, lines: [summary] }
    }),
  )
}

function addRules(group: Command, run: Runner): void {
  const rules = group.command('rules').helpCommand(false).description('what was decided once for all of a sort')
  const list = rules.command('list <config>', { isDefault: true }).description('the rules of a sync config')
  addServiceFlags(list).action(async (config: string) =>
    withService(run, list, async (client) => {
      const result = ConflictRules.parse(await client.get(`/sync-configs/${encodeURIComponent(config)}/conflict-rules`))
      const summary = plural(result.items.length, 'rule')
      return { exit: EXIT.done, summary, result, lines: [...ruleLines(result.items), summary] }
    }),
  )
  const remove = rules.command('remove <config> <rule>').description('decide no more by it; what it decided stays')
  addServiceFlags(remove).action(async (config: string, rule: string) =>
    withService(run, remove, async (client) => {
      await client.delete(`/sync-configs/${encodeURIComponent(config)}/conflict-rules/${encodeURIComponent(rule)}`)
      const summary = `${rule} is removed`
      return { exit: EXIT.done, summary, result: { id: rule }, lines: [summary] }
    }),
  )
}

function addFilters(command: Command): Command {
  return command
    .option('--config <config>', 'only conflicts of this sync config')
    .option('--job <job>', 'only conflicts that this job saw')
    .option('--kind <kind>', `only ${CONFLICT_KINDS.join(', ')}, or several with commas between`)
    .option('--table <table>', 'only conflicts of this table of the target')
    .option('--field <column>', 'only rows of which both sides changed this column')
    .option('--key <key>', 'only the row of this key; of several columns a JSON list of texts')
}

function given(flags: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(Object.entries(flags).flatMap(([name, text]) => (text === undefined ? [] : [[name, text]])))
}

async function listConflicts(client: ApiClient, flags: ListFlags): Promise<Outcome> {
  const { config, job, status, kind, table, field, key, limit } = flags
  const query = new URLSearchParams(given({ config, job, status, kind, table, field, key, limit }))
  const page = ConflictPage.parse(await client.get(`/conflicts?${query.toString()}`))
  const open = page.groups.reduce((sum, group) => sum + group.open, 0)
  const all = page.groups.reduce((sum, group) => sum + group.conflicts, 0)
  const summary = `${plural(all, 'conflict')}, ${formatCount(open)} of them open`
  const more =
    page.next_cursor === null ? [] : ['… and more: narrow it with --table, --kind or --key, or raise --limit']
  const lines = [...listLines(page.items), ...more, ...groupLines(page.groups), summary]
  return { exit: open > 0 ? EXIT.findings : EXIT.done, summary, result: page, lines }
}

async function resolveOne(
  client: ApiClient,
  { id, flags }: { id: string; flags: ResolveFlags },
  context: Context,
): Promise<Outcome> {
  const { kind, table, field, key, all, config, job } = flags
  if ([kind, table, field, key, all, config, job].some((flag) => flag !== undefined)) {
    throw new AppError('usage', 'Name one conflict, or say which with --config and filters; not both.')
  }
  const choice = choiceOf(flags)
  const found = asObject(await client.get(`/conflicts/${encodeURIComponent(id)}`))
  const of = found['config_id']
  const path =
    typeof of === 'string'
      ? `/sync/${encodeURIComponent(of)}/resolve/${encodeURIComponent(id)}`
      : `/sync/conflicts/${encodeURIComponent(String(found['last_job_id']))}/${encodeURIComponent(id)}/resolve`
  const body = { ...choice, ...startBody(flags) }
  const version = flags.asOf ?? String(found['version'])
  const answer = await client.post(path, body, { idempotencyKey: randomUUID(), ifMatch: `"${version}"` })
  const result = Resolved.parse(answer)
  return follow(
    client,
    { decided: `${id} is ${result.conflict.status}: ${result.conflict.resolution ?? ''}`, result, flags },
    context,
  )
}

type Carried = z.infer<typeof Resolved> | z.infer<typeof ResolvedMany> | z.infer<typeof CarriedOut>

/** Waits for the run that carries the decision out, where one was started. */
async function follow(
  client: ApiClient,
  { decided, result, flags }: { decided: string; result: Carried; flags: Pick<ResolveFlags, 'detach'> },
  context: Context,
): Promise<Outcome> {
  if (result.job_id !== null && !flags.detach) {
    context.output.print(decided)
    return watchJob(client, result.job_id, context)
  }
  const summary = `${decided}; ${carriedLine(result)}`
  return { exit: EXIT.done, summary, result, lines: [summary] }
}

/** @throws AppError `usage` unless one thing is chosen */
function choiceOf({ take, set, null: nulls, rest, remove }: ResolveFlags): Readonly<Record<string, unknown>> {
  const builds = set !== undefined || nulls !== undefined || rest !== undefined
  if (Number(take !== undefined) + Number(builds) + Number(remove === true) !== 1) {
    throw new AppError('usage', 'Say what is to be: --take, or a row with --set, --null and --rest, or --remove.')
  }
  if (take !== undefined) return { take }
  if (remove) return { take: 'row', values: null }
  const values = Object.fromEntries([
    ...(set ?? []).map(readPair),
    ...(nulls ?? []).map((column): [string, null] => [column, null]),
  ])
  return { take: 'row', values, ...(rest === undefined ? {} : { rest }) }
}

/** @throws AppError `usage` */
function readPair(text: string): [string, string] {
  const at = text.indexOf('=')
  if (at > 0) return [text.slice(0, at), text.slice(at + 1)]
  throw new AppError('usage', 'Columns are given as column=value; one of them has no name or no =.')
}

/** @throws AppError `usage` */
function startBody(flags: ResolveFlags): Readonly<Record<string, unknown>> {
  const { start, remember, anyFields } = flags
  if (anyFields && !remember) throw new AppError('usage', '--any-fields is for --remember.')
  return {
    ...(start ? {} : { start: false }),
    ...(remember ? { remember: true } : {}),
    ...(anyFields ? { remember_any_fields: true } : {}),
    ...consentBody(flags),
  }
}

async function resolveMany(client: ApiClient, flags: ResolveFlags, context: Context): Promise<Outcome> {
  const { output, signal } = context
  const { path, body } = manyOf(flags)
  const asks = flags.dryRun !== true && flags.yes !== true
  if (asks && !(flags.input && output.interactive)) {
    throw new AppError('target_not_writable', 'Nobody has agreed to this, and there is nobody here to ask.', {
      hint: 'Look at what it is about with --dry-run, then add --yes.',
    })
  }
  const would = ResolvedMany.parse(await client.post(path, { ...body, dry_run: true }))
  const lines = selectionLines(would)
  const about = `${plural(would.conflicts, 'conflict')}, to take ${String(body['take'])}`
  if (flags.dryRun || would.conflicts === 0) {
    return { exit: EXIT.done, summary: about, result: would, lines: [...lines, about] }
  }
  for (const line of lines) output.print(line)
  if (asks && !(await output.agrees(`${about}: decide them?`, signal))) {
    throw new AppError('target_not_writable', 'You did not agree, and nothing was decided.')
  }
  const sure = { ...body, ...startBody(flags), expect: would.conflicts, digest: would.digest }
  const result = ResolvedMany.parse(await client.post(path, sure, { idempotencyKey: randomUUID() }))
  const decided = `${plural(result.conflicts, 'conflict')} decided: ${String(body['take'])}`
  return follow(client, { decided, result, flags }, context)
}

/** @throws AppError `usage` where it is not said which conflicts */
function manyOf(flags: ResolveFlags): { readonly path: string; readonly body: Readonly<Record<string, unknown>> } {
  const { config, job, take, kind, status, table, field, key, all } = flags
  if (take === undefined)
    throw new AppError('usage', 'Say what is to be of all of them: --take source, target or skip.')
  for (const flag of ['set', 'null', 'rest', 'remove', 'asOf'] as const) {
    if (flags[flag] !== undefined) throw new AppError('usage', 'A row is built for one conflict: name it.')
  }
  if ((config === undefined) === (job === undefined)) {
    throw new AppError('usage', 'Name a conflict, or say whose they are: --config or --job.')
  }
  const words = { ...given({ table, field, key }), ...lists({ kind, status }) }
  const named = Object.keys(words).some((name) => name !== 'status')
  if (named === (all === true))
    throw new AppError('usage', 'Say which conflicts: --table, --kind and the like, or --all.')
  const path =
    config === undefined
      ? `/sync/conflicts/${encodeURIComponent(job ?? '')}/resolve-all`
      : `/sync/${encodeURIComponent(config)}/resolve`
  return { path, body: { take, filter: words } }
}

function lists(flags: Readonly<Record<string, string | undefined>>): Record<string, readonly string[]> {
  return Object.fromEntries(Object.entries(given(flags)).map(([name, text]) => [name, text.split(',')]))
}
