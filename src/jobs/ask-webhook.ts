import { z } from 'zod'
import type { OpenedConflict } from '#control/conflict-list.ts'
import type { ConflictChoice } from '#control/decide-conflicts.ts'
import { wallMs } from '#lib/clock.ts'
import { FetchRefused, guardedFetch, type GuardedAnswer } from '#lib/guarded-fetch.ts'
import type { Networks, Resolve } from '#lib/network-address.ts'
import type { Secret } from '#lib/secret.ts'
import { signWebhook } from '#lib/webhook-signature.ts'
import { RESOLUTIONS } from '#model/conflict.ts'
import { buildRow } from './decide-conflict.ts'

/** Where a question goes, and how. */
export interface WebhookEndpoint {
  readonly url: string
  /** Each of them signs; the current one first. */
  readonly secrets: readonly Secret[]
  /** May be called beside the public addresses. */
  readonly networks: Networks
  readonly timeoutMs: number
  readonly resolve?: Resolve
}

/** A question as it is sent: JSON, under the id that all its attempts carry. */
export interface WebhookQuestion {
  readonly id: string
  readonly body: string
}

/** What was made of the answer. */
export type WebhookAnswer =
  | { readonly is: 'decision'; readonly choice: ConflictChoice }
  /** 202: it answers later, over the API. */
  | { readonly is: 'later' }
  /** It is worth another try. */
  | { readonly is: 'failure'; readonly reason: string }
  /** 410: nobody answers there any more. */
  | { readonly is: 'gone'; readonly reason: string }

const MOST_BYTES = 1_000_000
const COLUMNS_NAMED = 5

/**
 * Asks a webhook about a conflict, once. Its answer is data: it decides about this conflict alone, its form is checked, and a
 * row of it is fitted to the columns. Reasons never hold anything of what was answered but names of columns that there are.
 * @throws what aborted the signal
 */
export async function askWebhook(
  { url, secrets, networks, timeoutMs, resolve }: WebhookEndpoint,
  { id, body }: WebhookQuestion,
  conflict: OpenedConflict,
  signal: AbortSignal,
): Promise<WebhookAnswer> {
  const seconds = Math.floor(wallMs() / 1_000)
  try {
    const answer = await guardedFetch({
      url: new URL(url),
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json',
        'user-agent': 'syncline-webhook',
        ...signWebhook({ id, seconds, body }, secrets),
      },
      body,
      timeoutMs,
      maxBytes: MOST_BYTES,
      signal,
      allowed: networks,
      ...(resolve === undefined ? {} : { resolve }),
    })
    return readAnswer(answer, conflict)
  } catch (error) {
    if (error instanceof FetchRefused) return failure(`The webhook ${error.message}.`)
    throw error
  }
}

const Decision = z.strictObject({
  resolution: z.enum(RESOLUTIONS),
  row: z.record(z.string().min(1).max(200), z.string().max(500_000).nullable()).nullable().optional(),
  conflict_id: z.string().optional(),
})

function readAnswer({ status, type, body }: GuardedAnswer, conflict: OpenedConflict): WebhookAnswer {
  if (status === 202) return { is: 'later' }
  if (status === 410) return { is: 'gone', reason: 'The webhook answered 410: it does not answer any more.' }
  if (status >= 300 && status < 400) return failure('The webhook leads elsewhere, which is not followed.')
  if (status < 200 || status >= 300) return failure(`The webhook answered ${status}.`)
  if (!/\bjson\b/.test(type)) return failure('The webhook answered, but not in JSON (content-type).')
  const decision = Decision.safeParse(parse(body))
  if (!decision.success) {
    return failure(
      'The webhook did not answer {"resolution": "source", "target", "skip" or "row", "row": {column: text or null}}.',
    )
  }
  const { resolution, row, conflict_id: about } = decision.data
  if (about !== undefined && about !== conflict.id) return failure('The webhook answered about another conflict.')
  if (resolution !== 'row') {
    if (row !== undefined) return failure(`The webhook answered ${resolution} with a row, which is for row alone.`)
    return { is: 'decision', choice: { resolution } }
  }
  if (row === undefined || (row !== null && Object.keys(row).length === 0)) {
    return failure('The webhook answered row without one.')
  }
  if (row === null) return { is: 'decision', choice: { resolution, row: null } }
  return fit(conflict, row)
}

/** Columns that the answer leaves out are as they merge by themselves, else as the target has them, else the source. */
function fit(conflict: OpenedConflict, row: Readonly<Record<string, string | null>>): WebhookAnswer {
  const built = buildRow(conflict, { values: Object.entries(row), rest: null })
  if ('row' in built) return { is: 'decision', choice: { resolution: 'row', row: built.row } }
  const known = new Set(conflict.table.columns.map(({ name }) => name))
  const named = built.problems.filter(({ field }) => known.has(field))
  const unknown = built.problems.length - named.length
  const words = [
    ...(unknown === 0 ? [] : [`${unknown} of its columns are not in the table`]),
    ...named.slice(0, COLUMNS_NAMED).map(({ field, message }) => `${field}: ${message.replace(/\.$/, '')}`),
  ]
  return failure(`The webhook answered a row that cannot be written. ${words.join('; ')}.`)
}

function failure(reason: string): WebhookAnswer {
  return { is: 'failure', reason }
}

function parse(text: string): unknown {
  try {
    // A column of this name would be lost on the way, and a row be decided on that nobody has answered.
    return JSON.parse(text, (name, value: unknown) => {
      if (name === '__proto__') throw new SyntaxError(name)
      return value
    })
  } catch {
    return null
  }
}
