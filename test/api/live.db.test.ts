import { once } from 'node:events'
import { describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'

import { applyJobEvent, type Hold } from '#control/jobs.ts'
import { claimNextJob, recordJob } from '#control/leases.ts'
import { ProgressBook } from '#jobs/progress.ts'
import { must } from '#lib/assert.ts'
import { systemClock } from '#lib/clock.ts'

import { testId, type ApiUnderTest } from '#test/harness/api.ts'
import { STORE_KINDS } from '#test/harness/store.ts'
import { createSet, createWorld, type World } from './world.ts'

interface Frame {
  readonly id: number | null
  readonly event: string
}

/** Reads frames of a stream until it ends, or until `enough` says so, and then goes away. */
async function readFrames(
  { base, path, secret, after }: { base: string; path: string; secret: string; after?: number },
  enough: (frame: Frame) => boolean,
): Promise<{ frames: Frame[]; status: number }> {
  const gone = new AbortController()
  const headers = { 'x-api-key': secret, ...(after === undefined ? {} : { 'last-event-id': String(after) }) }
  const answer = await fetch(`${base}${path}`, { headers, signal: gone.signal })
  const frames: Frame[] = []
  let text = ''
  try {
    for await (const chunk of answer.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      const parts = (text + chunk).split('\n\n')
      text = parts.pop() ?? ''
      for (const part of parts) {
        const event = /^event: (.*)$/m.exec(part)?.[1]
        if (event === undefined) continue
        const id = /^id: (\d+)$/m.exec(part)?.[1]
        const frame = { id: id === undefined ? null : Number(id), event }
        frames.push(frame)
        if (enough(frame)) return { frames, status: answer.status }
      }
    }
    return { frames, status: answer.status }
  } finally {
    gone.abort()
  }
}

async function listen({ api }: World): Promise<string> {
  return api.app.listen({ host: '127.0.0.1', port: 0 })
}

/** A job that a test holds, as a job process would. */
async function runningJob(world: World, suffix: string): Promise<Hold> {
  const { api, admin } = world
  const { job } = await createSet(api, admin, { ...world, suffix })
  await applyJobEvent(api.store, { id: job, event: 'resume' })
  const claimed = must(await claimNextJob(api.store, { owner: 'test', leaseMs: 60_000 }), 'a job')
  return { jobId: claimed.id, owner: 'test', epoch: claimed.epoch }
}

describe.each(STORE_KINDS)('following a job on %s', (kind) => {
  test.each([false, true])(
    'SSE: events written while a reader leaves and comes back arrive once each and in order (unannounced: %s)',
    async (silent) => {
      await using world = await createWorld(kind)
      const { api, admin } = world
      const base = await listen(world)
      const hold = await runningJob(world, ' live')
      api.live.silent = silent
      const writing = (async () => {
        for (let i = 0; i < 60; i++) {
          const events = Array.from(
            { length: 1 + (i % 5) },
            () => ({ type: 'log', data: { text: `line ${i}\n\nid: 7` } }) as const,
          )
          await recordJob(api.store, hold, { events, progress: null })
          api.live.announce(hold.jobId)
        }
        await applyJobEvent(api.store, { id: hold.jobId, event: 'succeed', hold })
        api.live.announce(hold.jobId)
      })()
      const ids: number[] = []
      let ended = false
      while (!ended) {
        const stop = ids.length + 7
        const { frames, status } = await readFrames(
          { base, path: `/api/jobs/${hold.jobId}/events`, secret: admin, after: ids.at(-1) ?? 0 },
          ({ id }) => id !== null && id >= stop,
        )
        ids.push(...frames.flatMap(({ id }) => (id === null ? [] : [id])))
        ended = status === 204 || frames.some(({ event }) => event === 'end')
      }
      await writing
      const { last_event: last } = (await api.send(admin, 'GET', `/api/jobs/${hold.jobId}`)).json<{
        last_event: number
      }>()
      expect(last).toBeGreaterThan(180)
      expect(ids).toEqual(Array.from({ length: last }, (_, i) => i + 1))
    },
  )

  test('S12: a stream ends when its key is revoked', async () => {
    await using world = await createWorld(kind)
    const { api, admin } = world
    const base = await listen(world)
    const hold = await runningJob(world, ' live')
    const viewer = await api.key('viewer')
    const path = `/api/jobs/${hold.jobId}/events`
    const reading = readFrames({ base, path, secret: viewer.secret }, ({ event }) => event === 'end')
    const socket = new WebSocket(`${base.replace('http', 'ws')}/api/ws`, { headers: { 'x-api-key': viewer.secret } })
    await once(socket, 'open')
    const closed = once(socket, 'close')
    const started = performance.now()
    await api.send(admin, 'DELETE', `/api/keys/${viewer.id}`)
    expect((await reading).frames.at(-1)).toEqual({ id: null, event: 'end' })
    expect((await closed)[0]).toBe(4001)
    expect(performance.now() - started).toBeLessThan(5_000)
    await applyJobEvent(api.store, { id: hold.jobId, event: 'fail', hold })
  })

  test('progress goes along without a number, on both, and the log tells what came after an event', async () => {
    await using world = await createWorld(kind)
    const { api, admin } = world
    const base = await listen(world)
    const hold = await runningJob(world, ' far')
    const progress = new ProgressBook('sync', systemClock).snapshot()
    const lines = ['one', 'two'].map((text) => ({ type: 'log', data: { level: 'info', text } }) as const)
    await recordJob(api.store, hold, { events: lines, progress })
    const path = `/api/jobs/${hold.jobId}/events`
    const { frames } = await readFrames({ base, path, secret: admin, after: 0 }, ({ event }) => event === 'progress')
    expect(frames.at(-1)).toEqual({ id: null, event: 'progress' })
    const socket = new WebSocket(`${base.replace('http', 'ws')}/api/v1/ws`, { headers: { 'x-api-key': admin } })
    await once(socket, 'open')
    const told = new Promise((resolve) => {
      socket.on('message', (data) => {
        const message = JSON.parse(String(data as Buffer)) as { type: string }
        if (message.type === 'progress') resolve(message)
      })
    })
    socket.send(JSON.stringify({ type: 'subscribe', job_id: hold.jobId }))
    expect(await told).toMatchObject({ job_id: hold.jobId, progress: { phase: 'planning', rows_per_second: 0 } })
    socket.close()
    const { last_event: last, started_by: by } = (await api.send(admin, 'GET', `/api/jobs/${hold.jobId}`)).json<{
      last_event: number
      started_by: string
    }>()
    expect(by).toBe('a admin')
    const log = await api.send(admin, 'GET', `/api/jobs/${hold.jobId}/log?after=${last - 1}`)
    expect(log.json()).toMatchObject({ items: [{ seq: last, data: { text: 'two' } }], next_cursor: null })
  })

  test('the WebSocket replays, follows and ends as the stream does, for several jobs', async () => {
    await using world = await createWorld(kind)
    const { api, admin } = world
    const base = await listen(world)
    const holds = [await runningJob(world, ' one'), await runningJob(world, ' two')]
    const socket = new WebSocket(`${base.replace('http', 'ws')}/api/v1/ws`, { headers: { 'x-api-key': admin } })
    await once(socket, 'open')
    const seen = new Map<string, number[]>(holds.map(({ jobId }) => [jobId, []]))
    const ended = new Set<string>()
    const done = new Promise<void>((resolve) => {
      socket.on('message', (data) => {
        const message = JSON.parse(String(data as Buffer)) as { type: string; job_id: string; seq: number }
        if (message.type === 'event') seen.get(message.job_id)?.push(message.seq)
        if (message.type === 'end' && ended.add(message.job_id).size === holds.length) resolve()
      })
    })
    for (const { jobId } of holds) socket.send(JSON.stringify({ type: 'subscribe', job_id: jobId, after: 1 }))
    for (const hold of holds) {
      const events = Array.from({ length: 300 }, () => ({ type: 'log', data: {} }) as const)
      await recordJob(api.store, hold, { events, progress: null })
      await applyJobEvent(api.store, { id: hold.jobId, event: 'succeed', hold })
    }
    await done
    for (const { jobId } of holds) {
      const last = (await api.send(admin, 'GET', `/api/jobs/${jobId}`)).json<{ last_event: number }>().last_event
      expect(seen.get(jobId)).toEqual(Array.from({ length: last - 1 }, (_, i) => i + 2))
    }
    socket.close()
  })
})

test('S16: a socket needs a key, its own site, known messages, and restraint', async () => {
  await using world = await createWorld('sqlite')
  const { api, admin } = world
  const base = await listen(world)
  const url = `${base.replace('http', 'ws')}/api/ws`
  const refused = async (address: string, headers: Record<string, string>): Promise<string> => {
    const socket = new WebSocket(address, { headers })
    const [error] = (await once(socket, 'error')) as [Error]
    return error.message
  }
  expect(await refused(url, {})).toContain('401')
  expect(await refused(`${url}?key=${admin}`, {})).toContain('401')
  expect(await refused(url, { 'x-api-key': admin, origin: 'http://evil.example' })).toContain('403')
  expect(await refused(url, { 'x-api-key': admin, 'sec-fetch-site': 'cross-site' })).toContain('403')
  expect(await refused(url, { 'x-api-key': admin, host: 'evil.example' })).toContain('421')
  const cookie = await signIn(api, admin)
  expect(await refused(url, { cookie })).toContain('403')
  const own = new WebSocket(url, { headers: { cookie, origin: base } })
  await once(own, 'open')
  const say = async (text: string): Promise<unknown> => {
    own.send(text)
    const [data] = (await once(own, 'message')) as [Buffer]
    return JSON.parse(String(data)) as unknown
  }
  expect(await say('{"type":"ping"}')).toEqual({ type: 'pong' })
  for (const text of ['', '{', '[]', '{"type":"subscribe"}', '{"type":"ping","more":1}', '{"type":"drop"}']) {
    expect(await say(text), text).toMatchObject({ type: 'error', code: 'invalid_request' })
  }
  const missing = JSON.stringify({ type: 'subscribe', job_id: testId('job') })
  expect(await say(missing)).toMatchObject({ type: 'error', code: 'not_found' })
  const big = new WebSocket(url, { headers: { cookie, origin: base } })
  await once(big, 'open')
  big.send('x'.repeat(5_000))
  expect((await once(big, 'close'))[0]).toBe(1009)
  for (let i = 0; i < 100; i++) own.send('{"type":"ping"}')
  expect((await once(own, 'close'))[0]).toBe(1008)
})

test('streams are counted by key, and the server closes while they are open', async () => {
  await using world = await createWorld('sqlite', { limits: { streamsPerKey: 2 } })
  const { api, admin } = world
  const base = await listen(world)
  const hold = await runningJob(world, ' live')
  const path = `/api/jobs/${hold.jobId}/events`
  const open = await Promise.all([1, 2].map(() => fetch(`${base}${path}`, { headers: { 'x-api-key': admin } })))
  const third = await fetch(`${base}${path}`, { headers: { 'x-api-key': admin } })
  expect([third.status, third.headers.get('retry-after')]).toEqual([429, '10'])
  const texts = Promise.all(open.map((answer) => answer.text()))
  await api.app.close()
  for (const text of await texts) expect(text).toContain('event: status')
})

async function signIn(api: ApiUnderTest, key: string): Promise<string> {
  const answer = await api.send(null, 'POST', '/api/session', { body: { key } })
  return String(answer.headers['set-cookie']).split(';')[0] ?? ''
}
