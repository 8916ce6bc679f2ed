import { expect, test } from 'vitest'

import { expectNoProgramSurvives, killLeftPrograms, startNode, type Program } from './process.ts'

expectNoProgramSurvives()

/** Counts aloud for ever; ends with code 7 on SIGINT. */
const COUNTER = `
  let n = 0
  process.on('SIGINT', () => { console.error('interrupted'); process.exitCode = 7; clearInterval(timer) })
  const timer = setInterval(() => console.log('tick ' + n++), 5)
`

function startScript(script: string, stdin?: string): Program {
  return startNode(['--input-type=module', '-e', script], stdin === undefined ? {} : { stdin })
}

test('a program that ends by itself tells its code and all of its output', async () => {
  await using program = startScript("console.log('ü'.repeat(100000)); console.error('e'); process.exitCode = 3")
  const exit = await program.exit
  expect(exit).toMatchObject({ code: 3, signal: null, stderr: 'e\n' })
  expect(exit.stdout).toBe(`${'ü'.repeat(100_000)}\n`)
})

test('input and environment reach the program', async () => {
  const script = 'process.stdin.on("data", (text) => console.log(String(text), process.env.SYNCLINE_PROBE))'
  await using program = startNode(['-e', script], { stdin: 'hello', env: { SYNCLINE_PROBE: 'there' } })
  expect((await program.exit).stdout).toBe('hello there\n')
})

test('a signal at a line of output ends the program there, in its own way', async () => {
  await using program = startScript(COUNTER)
  await program.signalAt(/^tick 3$/m, 'SIGINT')
  expect(await program.exit).toMatchObject({ code: 7, signal: null, stderr: 'interrupted\n' })
  // It has ended: nothing is sent, and to no other process.
  program.signal('SIGKILL')
})

test('a signal after a time ends the program, and none is sent to one that has ended', async () => {
  await using program = startScript(COUNTER)
  await program.untilOutput(/tick 0/)
  await program.signalAfter(20, 'SIGKILL')
  expect(await program.exit).toMatchObject({ code: null, signal: 'SIGKILL' })

  await using short = startScript('')
  const begin = performance.now()
  await short.signalAfter(60_000, 'SIGKILL')
  expect(performance.now() - begin).toBeLessThan(30_000)
  expect(await short.exit).toMatchObject({ code: 0, signal: null })
})

test('a suspended program does nothing until it is resumed', async () => {
  await using program = startScript(COUNTER)
  await program.untilOutput(/tick 2/)
  program.suspend()
  await expect.poll(() => stateOf(program.pid)).toMatch(/^T/)
  // What it wrote before may still be on its way: another program's whole life is time enough for that.
  await using other = startScript('')
  await other.exit
  const before = program.stdout
  await using another = startScript('')
  await another.exit
  expect(program.stdout).toBe(before)
  program.resume()
  await expect.poll(() => program.stdout.length).toBeGreaterThan(before.length)
})

test('waiting for a line that never comes fails when the program ends', async () => {
  await using program = startScript("console.log('something else')")
  await expect(program.untilOutput(/the line/)).rejects.toThrow('something else')
})

test('a program that is left behind is found and killed', async () => {
  const program = startScript(COUNTER)
  expect(await killLeftPrograms()).toEqual([expect.stringContaining(String(program.pid))])
  expect(await program.exit).toMatchObject({ signal: 'SIGKILL' })
  expect(await killLeftPrograms()).toEqual([])
})

async function stateOf(pid: number): Promise<string> {
  await using ps = startNode([
    '-e',
    `console.log(require('child_process').spawnSync('ps', ['-o', 'stat=', '-p', '${pid}'], { encoding: 'utf8' }).stdout)`,
  ])
  return (await ps.exit).stdout
}
