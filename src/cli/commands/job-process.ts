import type { Command } from 'commander'
import { EXIT } from '#model/errors.ts'
import { runJobProcess } from '#service/jobs.ts'
import { addCommonFlags, type Runner } from '#cli/command.ts'

/** What a supervisor forks; no command for people. */
export function addJobProcess(program: Command, run: Runner): void {
  const command = program.command('job-process', { hidden: true })
  addCommonFlags(command).action(async () =>
    run(command, async ({ signal }) => {
      await runJobProcess(signal)
      return { exit: EXIT.done, summary: '', result: null, lines: [] }
    }),
  )
}
