import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Secret } from '#lib/secret.ts'
import { AppError } from '#model/errors.ts'
import { checkReference, lookUpPassword, type ReferenceSources } from './references.ts'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'syncline-references-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

const NOWHERE: ReferenceSources = { readVariable: () => null, ownSecrets: ['SECRET_KEY'], directory: null, vault: null }

async function look(reference: string, sources: Partial<ReferenceSources>): Promise<string> {
  try {
    return (await lookUpPassword(reference, 'stored', { ...NOWHERE, ...sources }))?.reveal() ?? 'none'
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'secret_unreadable') throw error
    return `refused: ${error.message}`
  }
}

test('a variable is looked up, but none that holds a secret of the service', async () => {
  const readVariable = (name: string): string => `value of ${name}`
  expect(await look('env:SHOP', { readVariable })).toBe('value of SHOP')
  expect(await look('env:SECRET_KEY', { readVariable })).toMatch(/refused.*of the service itself/)
  expect(await look('env:DATASOURCE_SHOP_URL', { readVariable })).toMatch(/refused.*of the service itself/)
  expect(await look('env:SHOP', {})).toMatch(/refused.*not set/)
  expect(await look('whatever', {})).toMatch(/refused.*none of/)
})

test('a file is read only inside the directory, whatever its path says', async () => {
  const directory = join(folder, 'secrets')
  mkdirSync(join(directory, 'deep'), { recursive: true })
  writeFileSync(join(directory, 'shop'), 'geheim\n')
  writeFileSync(join(directory, 'deep', 'two lines'), 'a\nb')
  writeFileSync(join(folder, 'outside'), 'canary')
  writeFileSync(join(directory, 'empty'), '')
  writeFileSync(join(directory, 'huge'), 'x'.repeat(70_000))
  symlinkSync(join(folder, 'outside'), join(directory, 'link'))
  symlinkSync(folder, join(directory, 'up'))
  symlinkSync(join(directory, 'shop'), join(directory, 'inner'))
  expect(await look('file:shop', { directory })).toBe('geheim')
  expect(await look(`file:${directory}/shop`, { directory })).toBe('geheim')
  expect(await look('file:deep/../shop', { directory })).toBe('geheim')
  expect(await look('file:inner', { directory })).toBe('geheim')
  expect(await look('file:deep/two lines', { directory })).toBe('a\nb')
  for (const path of ['../outside', 'link', 'up/outside', join(folder, 'outside'), '/etc/passwd', '.', 'deep/../..']) {
    expect(await look(`file:${path}`, { directory }), path).toMatch(/refused.*leads out/)
  }
  expect(await look('file:missing', { directory })).toMatch(/refused.*no such file/)
  expect(await look('file:empty', { directory })).toMatch(/refused.*empty/)
  expect(await look('file:huge', { directory })).toMatch(/refused.*65536 bytes/)
  expect(await look('file:deep', { directory })).toMatch(/refused/)
  expect(await look('file:shop', {})).toMatch(/refused.*SYNCLINE_SECRET_FILES/)
})

test('a Vault is asked by its KV version 2, and its token goes nowhere else', async () => {
  const seen: string[] = []
  await using elsewhere = createServer((request, response) => {
    seen.push(`elsewhere ${request.headers['x-vault-token']}`)
    response.end('{"data":{"data":{"password":"stolen"}}}')
  })
  elsewhere.listen(0, '127.0.0.1')
  await once(elsewhere, 'listening')
  await using server = createServer((request, response) => {
    seen.push(`${request.method} ${request.url} ${request.headers['x-vault-token']}`)
    const answers: Record<string, [status: number, body: string]> = {
      '/v1/secret/data/apps/shop': [200, '{"data":{"data":{"password":"geheim","port":5432},"metadata":{}}}'],
      '/v1/secret/data/forbidden': [403, '{"errors":["permission denied"]}'],
      '/v1/secret/data/sealed': [503, ''],
      '/v1/secret/data/odd': [200, 'no json'],
    }
    if (request.url === '/v1/secret/data/moved') {
      const { port } = elsewhere.address() as AddressInfo
      response.writeHead(307, { location: `http://127.0.0.1:${port}/` }).end()
      return
    }
    const [status, body] = answers[request.url ?? ''] ?? [404, '{"errors":[]}']
    response.writeHead(status, { 'content-type': 'application/json' }).end(body)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const vault = { address: `http://127.0.0.1:${port}/`, token: new Secret('hvs.token') }
  expect(await look('vault:secret/apps/shop#password', { vault })).toBe('geheim')
  expect(await look('vault:secret/data/apps/shop#password', { vault })).toBe('geheim')
  expect(new Set(seen)).toEqual(new Set(['GET /v1/secret/data/apps/shop hvs.token']))
  for (const [reference, says] of [
    ['vault:secret/apps/shop#missing', /no text under the field missing/],
    ['vault:secret/apps/shop#port', /no text under the field port/],
    ['vault:secret/apps/shop#__proto__', /no text under the field/],
    ['vault:secret/nothing#password', /nothing at this path/],
    ['vault:secret/forbidden#password', /may not read it/],
    ['vault:secret/sealed#password', /sealed/],
    ['vault:secret/odd#password', /no text/],
    ['vault:secret/moved#password', /does not answer/],
    ['vault:secret/../sys/seal#password', /form/],
    ['vault:secret#password', /form/],
    ['vault:secret/shop', /form/],
  ] as const) {
    expect(await look(reference, { vault }), reference).toMatch(says)
  }
  expect(seen.filter((line) => line.startsWith('elsewhere'))).toEqual([])
  const gone = { ...vault, address: 'http://127.0.0.1:1' }
  expect(await look('vault:secret/apps/shop#password', { vault: gone })).toMatch(/does not answer/)
  expect(await look('vault:secret/apps/shop#password', {})).toMatch(/VAULT_ADDR/)
})

test.each(['env:SECRET_KEY', 'env:DATASOURCE_X_URL', 'env:', 'env:A B', 'vault:x', 'http://x', 'geheim', ''])(
  '%s is not accepted as a reference',
  (reference) => {
    expect(() => checkReference(reference, NOWHERE)).toThrow(expect.objectContaining({ code: 'invalid_request' }))
  },
)

test.each(['env:SHOP_PASSWORD', 'file:shop', 'vault:secret/apps/shop#password'])('%s is', (reference) => {
  expect(() => checkReference(reference, NOWHERE)).not.toThrow('reference')
})
