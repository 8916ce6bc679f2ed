import { once } from 'node:events'
import { Agent, request, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { expect, test } from 'vitest'

import { createApi, type ApiUnderTest } from '#test/harness/api.ts'
import { createWorld } from './world.ts'

const FRIEND = 'https://admin.example.com'

test('S14: only hosts of ours are answered, whatever the path, before anything else', async () => {
  await using api = await createApi('sqlite', { hosts: ['sync.example.com'] })
  const ask = async (host: string, url: string, headers = {}) =>
    (await api.send(null, 'GET', url, { headers: { host, ...headers } })).statusCode
  for (const host of [
    'localhost',
    'LOCALHOST:8001',
    '127.0.0.1:8001',
    '[::1]:8001',
    'sync.example.com',
    'Sync.Example.Com:443',
  ]) {
    expect(await ask(host, '/livez'), host).toBe(200)
  }
  for (const host of [
    'evil.example',
    'localhost.evil.example',
    'evil.example:8001',
    '127.0.0.1.nip.io',
    'a@localhost',
    'localhost:8001:1',
    '[::1',
    'sync.example.com.',
    '0.0.0.0',
    '10.0.0.1',
  ]) {
    for (const url of ['/livez', '/docs', '/api/jobs', '/nothing', '/openapi.json']) {
      expect(await ask(host, url, { origin: `http://${host}` }), `${host} ${url}`).toBe(421)
    }
  }
})

test('S13: a session changes something only from our own pages', async () => {
  await using world = await createWorld('sqlite', { corsOrigins: [FRIEND] })
  const { api, admin } = world
  const signedIn = await api.send(null, 'POST', '/api/session', { body: { key: admin } })
  const cookie = String(signedIn.headers['set-cookie']).split(';')[0] ?? ''
  const own = 'http://localhost:8001'
  const post = async (headers: Record<string, string>, who: 'cookie' | 'key' = 'cookie') => {
    const credential = who === 'cookie' ? { cookie } : { 'x-api-key': admin }
    const url = `/api/datasources/parse-url`
    const answer = await api.send(null, 'POST', url, {
      body: { url: 'postgres://a@b/c' },
      headers: { ...credential, ...headers },
    })
    return answer.statusCode === 403 ? answer.json<{ code: string }>().code : answer.statusCode
  }
  const custom = { 'x-syncline-request': '1' }
  const matrix: [Record<string, string>, number | string][] = [
    [{ ...custom, origin: own, 'sec-fetch-site': 'same-origin' }, 200],
    [{ ...custom }, 200],
    [{ ...custom, 'sec-fetch-site': 'none' }, 200],
    [{ origin: own, 'sec-fetch-site': 'same-origin' }, 'cross_site'],
    [{ ...custom, origin: 'http://localhost:5173' }, 'cross_site'],
    [{ ...custom, origin: 'http://evil.example' }, 'cross_site'],
    [{ ...custom, origin: 'null' }, 'cross_site'],
    [{ ...custom, 'sec-fetch-site': 'same-site' }, 'cross_site'],
    [{ ...custom, 'sec-fetch-site': 'cross-site' }, 'cross_site'],
    [{ ...custom, origin: own, 'sec-fetch-site': 'cross-site' }, 'cross_site'],
    [{ ...custom, origin: FRIEND, 'sec-fetch-site': 'cross-site' }, 200],
    [{ ...custom, origin: `${FRIEND}.evil.example` }, 'cross_site'],
    [{ ...custom, origin: own, 'content-type': 'text/plain' }, 415],
  ]
  for (const [headers, expected] of matrix) expect(await post(headers), JSON.stringify(headers)).toBe(expected)
  expect(await post({}, 'key')).toBe(200)
  expect(await post({ origin: 'http://evil.example' }, 'key')).toBe('cross_site')
  expect(await post({ 'sec-fetch-site': 'cross-site' }, 'key')).toBe('cross_site')
  const read = (headers: Record<string, string>) =>
    api.send(null, 'GET', '/api/jobs', { headers: { cookie, ...headers } })
  expect((await read({ 'sec-fetch-site': 'same-origin' })).statusCode).toBe(200)
  expect((await read({ 'sec-fetch-site': 'cross-site' })).statusCode).toBe(403)
  const login = await api.send(null, 'POST', '/api/session', {
    body: { key: admin },
    headers: { origin: 'http://evil.example' },
  })
  expect(login.json()).toMatchObject({ code: 'cross_site' })
})

test('S15: other sites are answered only where they were named, exactly', async () => {
  const allow = 'access-control-allow-origin'
  const preflight = (api: ApiUnderTest, origin: string) =>
    api.send(null, 'OPTIONS', '/api/jobs', { headers: { origin, 'access-control-request-method': 'PUT' } })
  await using closed = await createApi('sqlite')
  await using open = await createApi('sqlite', { corsOrigins: [FRIEND] })
  for (const origin of [FRIEND, 'null', 'http://localhost:8001', '*']) {
    expect((await preflight(closed, origin)).headers[allow], origin).toBeUndefined()
  }
  const answered = await preflight(open, FRIEND)
  expect([answered.statusCode, answered.headers[allow], answered.headers.vary]).toEqual([204, FRIEND, 'Origin'])
  const known = await open.send(null, 'GET', '/livez', { headers: { origin: FRIEND } })
  expect(known.headers[allow]).toBe(FRIEND)
  for (const origin of [
    'null',
    `${FRIEND}:8443`,
    `${FRIEND}.evil.example`,
    'http://admin.example.com',
    FRIEND.toUpperCase(),
    '*',
  ]) {
    const answer = await preflight(open, origin)
    expect([answer.statusCode, answer.headers[allow], answer.headers.vary], origin).toEqual([405, undefined, 'Origin'])
  }
})

test('S60: forwarded addresses are believed from configured proxies only', async () => {
  const address = async (api: ApiUnderTest): Promise<unknown> => {
    const { secret } = await api.key('admin')
    const headers = { 'x-forwarded-for': '203.0.113.9', 'x-forwarded-host': 'evil.example' }
    await api.send(null, 'POST', '/api/session', { body: { key: secret }, headers })
    const { items } = (await api.send(secret, 'GET', '/api/audit-events?action=session.open')).json<{
      items: { address: string }[]
    }>()
    return items[0]?.address
  }
  await using alone = await createApi('sqlite')
  expect(await address(alone)).toBe('127.0.0.1')
  await using behind = await createApi('sqlite', { trustedProxies: ['127.0.0.0/8'] })
  expect(await address(behind)).toBe('203.0.113.9')
  await using other = await createApi('sqlite', { trustedProxies: ['10.0.0.1'] })
  expect(await address(other)).toBe('127.0.0.1')
})

/** What a server says to raw bytes, until it closes. */
async function say(port: number, ...texts: string[]): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  let answer = ''
  socket.on('data', (data) => (answer += data.toString('latin1')))
  socket.on('error', () => undefined)
  const closed = new Promise((resolve) => socket.once('close', resolve))
  await once(socket, 'connect')
  for (const text of texts) socket.write(text)
  await closed
  return answer
}

async function portOf(api: ApiUnderTest): Promise<number> {
  return Number(new URL(await api.app.listen({ host: '127.0.0.1', port: 0 })).port)
}

test('S58: whoever is slow with headers or body is cut off', async () => {
  await using api = await createApi('sqlite', { limits: { headersMs: 300, requestMs: 600 } })
  const port = await portOf(api)
  const { secret } = await api.key('admin')
  const started = performance.now()
  const [headers, body] = await Promise.all([
    say(port, 'GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Slow: '),
    say(
      port,
      `POST /api/keys HTTP/1.1\r\nHost: localhost\r\nX-API-Key: ${secret}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{`,
    ),
  ])
  expect(headers).toContain('408')
  expect(body).toContain('408')
  expect(performance.now() - started).toBeLessThan(10_000)
})

test('S59: requests that two readers could read in two ways are refused', async () => {
  await using api = await createApi('sqlite')
  const port = await portOf(api)
  const start = 'POST /api/session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n'
  for (const text of [
    `${start}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n`,
    `${start}Content-Length: 5\r\nContent-Length: 6\r\n\r\n{}    `,
    `${start}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`,
    `${start}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n`,
    `${start}Content-Length: +5\r\n\r\n{}   `,
    'GET /livez HTTP/1.1\r\n\r\n',
    'GET /livez HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n',
    'GARBAGE\r\n\r\n',
    `GET /livez HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`,
  ]) {
    const answer = await say(port, text)
    const statuses = [...answer.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => Number(status))
    expect(statuses, `${text.slice(0, 150)}\n${answer}`).toHaveLength(1)
    expect([400, 421, 431], `${text.slice(0, 150)}\n${answer}`).toContain(statuses[0])
  }
})

test('S59: a request that offers another protocol is answered in this one, and its connection stays', async () => {
  await using api = await createApi('sqlite')
  const port = await portOf(api)
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const offer = { connection: 'Upgrade, HTTP2-Settings', upgrade: 'h2c', 'content-type': 'application/json' }
  const ask = async (method: string, path: string, body: string): Promise<readonly [number | undefined, boolean]> => {
    const asked = request({ port, host: '127.0.0.1', method, path, agent, headers: offer }).end(body)
    const [answer] = (await once(asked, 'response')) as [IncomingMessage]
    await once(answer.resume(), 'end')
    return [answer.statusCode, asked.reusedSocket]
  }
  expect(await ask('GET', '/livez', '')).toEqual([200, false])
  expect(await ask('POST', '/api/session', '{}')).toEqual([400, true])
  expect(await ask('GET', '/livez', '')).toEqual([200, true])
  agent.destroy()
})

test('S58: one address has so many connections and requests, and no more', async () => {
  await using api = await createApi('sqlite', { limits: { connectionsPerAddress: 3, requestsPerMinute: 5 } })
  const port = await portOf(api)
  const sockets = [1, 2, 3].map(() => connect(port, '127.0.0.1'))
  await Promise.all(sockets.map((socket) => once(socket, 'connect')))
  expect(await say(port, 'GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n')).toBe('')
  for (const socket of sockets) socket.destroy()
  const answers = []
  for (let i = 0; i < 7; i++) answers.push(await api.send(null, 'GET', '/livez'))
  const refused = answers.filter(({ statusCode }) => statusCode === 429)
  expect(refused).toHaveLength(2)
  for (const answer of refused) {
    expect(answer.json()).toMatchObject({ code: 'rate_limited' })
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0)
  }
})

test('a connection that never asks for anything does not keep the server from closing', async () => {
  await using api = await createApi('sqlite')
  const socket = connect(await portOf(api), '127.0.0.1')
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  const closed = new Promise((resolve) => socket.once('close', resolve))
  await api.app.close()
  await closed
})
