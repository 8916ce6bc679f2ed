import { readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'

import { expect, test } from 'vitest'

import { expectNoProgramSurvives, runProgram, startProgram } from '#test/harness/process.ts'

expectNoProgramSurvives()

test('the demo shows a first load, changes on both sides, a sync of them, and the proof', async () => {
  const { code, stdout, stderr } = await runProgram(['demo', '--once'])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(stdout).toMatch(/proved equal: 13,450 rows/)
  expect(stdout).toMatch(/different: \d+ rows in 4 of 4 tables/)
  expect(stdout).toMatch(/equal: [\d,]+ rows in 4 tables\n/)
  expect(stdout).not.toMatch(/postgres:\/\//)
})

test('the demo stays until it is stopped, and leaves nothing', async () => {
  await using program = startProgram(['demo'])
  const [, source = ''] = await program.untilOutput(/source {2}(postgres:\/\/\S+)/)
  const [, line = ''] = await program.untilOutput(/run this again:\n.* (sync .*)\n/)
  expect(await runProgram(line.split(' '))).toMatchObject({ code: 0 })
  program.signal('SIGINT')
  expect(await program.exit).toMatchObject({ code: 0 })
  expect(await runProgram(['doctor', source])).toMatchObject({ code: 4 })
  const left = await readdir(tmpdir())
  expect(left.filter((name) => name.startsWith(`syncline-demo-${program.pid}-`))).toEqual([])
  expect(left.filter((name) => name.startsWith(`syncline-postgres-${program.pid}-`))).toEqual([])
})
