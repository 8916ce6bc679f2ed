import { expect, test } from 'vitest'
import { linesOf, logFile } from '#features/jobs/log-text.ts'

const AT = '2026-01-31T12:00:00.000Z'

function log(...events: readonly (readonly [type: string, data: unknown])[]) {
  return linesOf(events.map(([type, data], i) => ({ seq: i + 1, at: AT, type, data })))
}

const statuses = (...names: readonly string[]) =>
  log(...names.map((status) => ['status', { status }] as const)).map(({ level, text }) => `${level}: ${text}`)

test('UX 23: what is queued again was interrupted, resumed or decided, by what it was before', () => {
  expect(statuses('queued', 'running', 'queued', 'running', 'stopping', 'stopped', 'queued', 'running')).toEqual([
    'info: Queued.',
    'info: Running.',
    'warn: Interrupted. It goes on from the checkpoint by itself.',
    'info: Running again, resumed from the checkpoint.',
    'info: Stopping: the batch in hand is being finished.',
    'info: Stopped.',
    'info: Resumed by somebody.',
    'info: Running again, resumed from the checkpoint.',
  ])
  expect(statuses('queued', 'running', 'awaiting_approval', 'queued').at(-1)).toBe('info: Decided: it goes on.')
})

test('a line has the level and the words of its event, and the file has a line each', () => {
  const error = { code: 'x', message: 'It broke.', hint: 'Mend it.' }
  const lines = log(
    ['phase', { table: 'public.a', phase: 'load', state: 'started', total: 5, estimated: true }],
    ['phase', { table: 'public.a', phase: 'load', state: 'done' }],
    ['log', { level: 'warn', text: 'Trying again' }],
    ['log', { other: 1 }],
    ['status', { status: 'failed', error }],
  )
  expect(lines.map(({ level, text }) => [level, text])).toEqual([
    ['info', 'public.a: loading about 5 rows'],
    ['info', 'public.a: loading, done'],
    ['warn', 'Trying again'],
    ['info', '{"other":1}'],
    ['error', 'Failed. It broke. Mend it.'],
  ])
  expect(logFile(lines.slice(0, 1))).toBe(`${AT}\tinfo\tpublic.a: loading about 5 rows\n`)
})
