import { systemClock } from '#lib/clock.ts'
import type { Check } from '#model/check.ts'
import type { ConnectionTest } from '#model/datasource.ts'
import { AppError } from '#model/errors.ts'
import type { SuggestSide } from '#sync/suggest-mapping.ts'
import { askModel, type ModelEndpoint } from './ask-model.ts'

const PLAIN = {
  type: { kind: 'text', maxLength: null },
  nativeType: 'text',
  nullable: true,
  hasDefault: false,
  generated: null,
  expression: null,
  collation: null,
  identity: null,
  sequence: null,
} as const

/** Two tables of nobody's, which are sent to see whether a model answers. */
function side(table: string, ...columns: readonly string[]): SuggestSide {
  const ref = { schema: 'public', name: table }
  return {
    schema: {
      ref,
      columns: columns.map((name, i) => ({ ...PLAIN, id: i + 1, name })),
      primaryKey: null,
      uniqueKeys: [],
      foreignKeys: [],
    },
    rows: [],
  }
}

const SIDES = { source: side('people', 'first_name', 'e_mail'), target: side('customers', 'given_name', 'email') }

/**
 * Asks a model one question about columns that nobody has, and tells what came of it. A failure is a result. `open` looks
 * the key up.
 */
export async function testModel(
  open: () => Promise<ModelEndpoint | null>,
  at: string,
  signal: AbortSignal,
): Promise<ConnectionTest> {
  const checks: Check[] = []
  const before = systemClock.elapsed()
  const add = (step: string, found: Pick<Check, 'state' | 'found' | 'next'>): void =>
    void checks.push({ step, ...found, ms: Math.round(systemClock.elapsed() - before) })
  try {
    const endpoint = await open()
    if (endpoint === null) {
      add('endpoint', { state: 'fail', found: 'none is set up', next: 'Give its URL and the model to ask there.' })
    } else {
      const key = endpoint.key === null ? 'without a key' : 'with a key'
      add('endpoint', { state: 'pass', found: `${new URL(endpoint.url).host}, ${key}`, next: null })
      const answer = await askModel(endpoint, SIDES, signal)
      if ('fault' in answer) add('answer', { state: 'fail', found: answer.fault, next: NEXT })
      else
        add('answer', { state: 'pass', found: `${endpoint.model} answers in the form that is asked for`, next: null })
    }
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    add('key', { state: 'fail', found: error.message, next: error.hint })
  }
  return { at, ok: checks.every(({ state }) => state !== 'fail'), checks }
}

const NEXT = 'Check the URL (up to and without /chat/completions), the model and the key.'
