/** What is said of a server of one kind is not said in the words of another one. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { expect, test } from 'vitest'

import { ERRORS, type ErrorCode } from '#model/errors.ts'

/** Words that mean something to one kind of server alone. */
const OF_POSTGRES =
  /postgres|\bpg_|\bpsql\b|sslrootcert|listen_addresses|search_path|track_activities|session_replication|DEFERRABLE/i
const OF_MYSQL = /mysql|mariadb|bind_address|ssl-ca\b|sql_mode|max_allowed_packet|innodb/i

/** What a run or a test of a connection may say of a server of MySQL or MariaDB. */
const SAID_OF_MYSQL = ['src/adapters/mysql', 'src/sync']

async function sourcesIn(folder: string): Promise<string[]> {
  const found = await readdir(folder, { recursive: true })
  return found.filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts')).map((name) => join(folder, name))
}

/** Without its comments: of what is left, texts alone speak. */
function code(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*$/gm, '')
}

async function readCode(folder: string): Promise<(readonly [file: string, code: string])[]> {
  const files = await sourcesIn(folder)
  return Promise.all(files.map(async (file) => [file, code(await readFile(file, 'utf8'))] as const))
}

/** Errors whose codes stand where MySQL and MariaDB are spoken to, or where every kind of server is. */
async function codesOfMysql(): Promise<ErrorCode[]> {
  const shared = (await readdir('src/adapters'))
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join('src/adapters', name))
  const texts = [
    ...(await Promise.all(SAID_OF_MYSQL.map(readCode))).flat().map(([, text]) => text),
    ...(await Promise.all(shared.map((file) => readFile(file, 'utf8')))),
  ]
  return (Object.keys(ERRORS) as ErrorCode[]).filter((name) => texts.some((text) => text.includes(`'${name}'`)))
}

test('an error that a server of any kind may end in is told in the words of every kind, or of none', async () => {
  const codes = await codesOfMysql()
  expect(codes.length).toBeGreaterThan(20)
  const alone = codes.flatMap((name) => {
    const { cause, hint } = ERRORS[name]
    return [cause, hint]
      .filter((text) => OF_POSTGRES.test(text) && !OF_MYSQL.test(text))
      .map((text) => `${name}: ${text}`)
  })
  expect(alone).toEqual([])
})

/** Has words for each kind of server. */
const CHOOSES_WORDS = 'src/sync/advise/cursor.ts'

/** A text in quotes or backticks with a word of PostgreSQL in it. */
const TEXTS = /'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`/g

test('the adapter of MySQL and the engine say nothing in the words of PostgreSQL', async () => {
  const said: string[] = []
  for (const folder of SAID_OF_MYSQL) {
    for (const [file, whole] of await readCode(folder)) {
      if (file === CHOOSES_WORDS) continue
      for (const [literal] of whole.matchAll(TEXTS)) {
        // A word by itself is a name: of a kind, a dialect or a file. Transforms may say whom they do as.
        const text = literal.replaceAll(/as PostgreSQL \w+/g, '')
        if (OF_POSTGRES.test(text) && /\s/.test(text) && !text.includes('/')) said.push(`${file}: ${literal}`)
      }
    }
  }
  expect(said).toEqual([])
})
