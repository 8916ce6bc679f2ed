import type { Command } from 'commander'
import { asObject, type ApiClient } from '#api/client.ts'
import { ScheduleState } from '#api/contract/schedules.ts'
import type { Outcome, Runner } from '#cli/command.ts'
import { formatTable, printable } from '#cli/format.ts'
import { addServiceFlags, withService } from '#cli/service-flags.ts'
import { EXIT } from '#model/errors.ts'

const HELP = `
A schedule is part of the document of a sync config (sync_interval, or schedule with cron and time_zone). A pause holds its
runs back without changing that; what came meanwhile is not made up for. Runs that write to a protected environment are
refused unless somebody lets the schedule do so, by --allow-protected-write with the name of the target in --confirm.
`

interface Flags {
  readonly pause?: true
  readonly resume?: true
  readonly allowProtectedWrite?: boolean
  readonly allowProtectedSourceWrite?: boolean
  readonly confirm?: string
}

/** `configs schedule`: when a sync config runs by itself. */
export function addSchedule(group: Command, run: Runner): void {
  const command = group
    .command('schedule <name>')
    .description('when a sync config runs by itself, and what became of the last times')
    .option('--pause', 'let it no longer run by itself; the schedule is kept')
    .option('--resume', 'let it run by itself again')
    .option('--allow-protected-write', 'let its runs write although the environment of the target is protected')
    .option('--no-allow-protected-write', 'no longer let them')
    .option('--allow-protected-source-write', 'the same of the source, for a sync in two ways')
    .option('--no-allow-protected-source-write', 'no longer let them')
    .option('--confirm <name>', 'the name of the target, where the service asks for it')
    .addHelpText('after', HELP)
  addServiceFlags(command).action(async (name: string, flags: Flags) =>
    withService(run, command, (client) => act(client, name, flags)),
  )
}

async function act(client: ApiClient, name: string, flags: Flags): Promise<Outcome> {
  const path = `/sync-configs/${encodeURIComponent(name)}/schedule`
  const { allowProtectedWrite: write, allowProtectedSourceWrite: source } = flags
  if (write !== undefined || source !== undefined) {
    // What the flags do not name stays; consent for other databases is none for these.
    const { consent } = ScheduleState.parse(await client.get(path))
    await client.put(`${path}/consent`, {
      allow_protected_write: write ?? (consent?.holds === true && consent.allow_protected_write),
      allow_protected_source_write: source ?? (consent?.holds === true && consent.allow_protected_source_write),
      ...(flags.confirm === undefined ? {} : { confirm: flags.confirm }),
    })
  }
  if (flags.pause) await client.post(`${path}/pause`, {})
  if (flags.resume) await client.post(`${path}/resume`, {})
  const state = await readSchedule(client, name)
  const [summary = ''] = state.lines
  return { exit: EXIT.done, summary, result: state.result, lines: state.lines }
}

/** What the service says of the schedule of a sync config, as lines for people too. */
export async function readSchedule(
  client: ApiClient,
  name: string,
): Promise<{ readonly result: Readonly<Record<string, unknown>>; readonly lines: readonly string[] }> {
  const result = asObject(await client.get(`/sync-configs/${encodeURIComponent(name)}/schedule`))
  return { result, lines: scheduleLines(result) }
}

/** The state of a schedule, as lines for people. */
export function scheduleLines(state: Readonly<Record<string, unknown>>): readonly string[] {
  const { words, note, paused_at: pausedAt, paused_by: pausedBy, refused_for: refused = null } = state
  if (typeof words !== 'string') return ['It does not run by itself.']
  const runs = listOf(state['next_runs']).map(({ local, at }) => `  ${String(local)}  (${String(at)})`)
  const ticks = listOf(state['ticks']).slice(0, 5)
  return [
    words,
    ...(typeof note === 'string' ? [note] : []),
    ...(typeof pausedAt === 'string' ? [`Paused since ${pausedAt} by ${printable(String(pausedBy))}.`] : []),
    ...(runs.length === 0 ? [] : ['Next runs:', ...runs]),
    ...(refused === null ? [] : [`They would be refused: ${printable(String(asObject(refused)['message']))}`]),
    ...(ticks.length === 0
      ? []
      : ['Last runs:', ...formatTable(['time', 'what became of it', 'job', 'missed before'], ticks.map(rowOf))]),
  ]
}

function rowOf(tick: Readonly<Record<string, unknown>>): string[] {
  const late = tick['late'] === true ? `, late at ${String(tick['fired_at'])}` : ''
  const { outcome, job_id: job, job_status: ended } = tick
  const status = outcome === 'started' && typeof ended === 'string' ? `, ${ended}` : ''
  const reason = typeof tick['reason'] === 'string' ? `: ${printable(tick['reason'])}` : ''
  return [
    String(tick['tick']),
    `${String(outcome)}${status}${late}${reason}`,
    typeof job === 'string' ? job : '',
    String(tick['missed']),
  ]
}

function listOf(value: unknown): readonly Readonly<Record<string, unknown>>[] {
  return Array.isArray(value) ? value.map(asObject) : []
}
