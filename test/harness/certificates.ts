/** A CA of the tests, and a server whose certificate can be changed under way. */
import { execFileSync } from 'node:child_process'
import { chownSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { expect } from 'vitest'

import type { LocalPostgres } from '#service/local-postgres.ts'

import { Database } from './database.ts'

/** What certificates are for, by name of the certificate. */
const CERTIFICATES = {
  good: { names: 'DNS:db.example.test', days: 2 },
  'other name': { names: 'DNS:other.example.test', days: 2 },
  expired: { names: 'DNS:db.example.test', days: -1 },
} as const

export type CertificateName = keyof typeof CERTIFICATES | 'self-signed'

/** Gives a server TLS. Returns the PEM of the CA, and the way to present one of the certificates from now on. */
export function equipWithTls(server: LocalPostgres): {
  readonly ca: string
  readonly present: (name: CertificateName) => Promise<void>
} {
  const folder = join(server.folder, 'data')
  const path = (name: string): string => join(folder, name)
  const openssl = (...args: string[]): void => void execFileSync('openssl', args, { stdio: 'ignore', cwd: folder })
  const fresh = ['-newkey', 'rsa:2048', '-nodes']
  openssl('req', '-x509', ...fresh, '-keyout', 'ca.key', '-out', 'ca.crt', '-subj', '/CN=CA of the tests', '-days', '2')
  openssl('req', ...fresh, '-keyout', 'tls.key', '-out', 'tls.csr', '-subj', '/CN=db.example.test')
  const self = [
    '-x509',
    '-key',
    'tls.key',
    '-subj',
    '/CN=db.example.test',
    '-addext',
    'subjectAltName=DNS:db.example.test',
  ]
  openssl('req', ...self, '-out', 'self-signed.crt', '-days', '2')
  const signing = ['-in', 'tls.csr', '-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial']
  for (const [name, { names, days }] of Object.entries(CERTIFICATES)) {
    writeFileSync(path('extensions'), `subjectAltName=${names}\n`)
    openssl('x509', '-req', ...signing, '-days', String(days), '-extfile', 'extensions', '-out', `${name}.crt`)
  }
  const { uid, gid } = statSync(folder)
  for (const file of ['tls.key', 'self-signed.crt', ...Object.keys(CERTIFICATES).map((name) => `${name}.crt`)]) {
    chownSync(path(file), uid, gid)
  }
  const admin = new Database({ url: server.url(), major: server.major }, 'postgres')
  return {
    ca: readFileSync(path('ca.crt'), 'utf8'),
    present: async (name) => {
      for (const setting of [`ssl_cert_file = '${name}.crt'`, `ssl_key_file = 'tls.key'`, 'ssl = on']) {
        await admin.sql(`ALTER SYSTEM SET ${setting}`)
      }
      await admin.sql('SELECT pg_reload_conf()')
      const shown = async (): Promise<unknown> => (await admin.sql('SHOW ssl_cert_file'))[0]?.[0]
      await expect.poll(shown, { timeout: 10_000 }).toBe(`${name}.crt`)
    },
  }
}
