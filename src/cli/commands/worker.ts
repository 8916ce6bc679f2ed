import type { Command } from 'commander'
import { EXIT } from '#model/errors.ts'
import { runWorker, type WorkerEvent } from '#service/worker.ts'
import { addCommonFlags, type Runner } from '#cli/command.ts'

const HELP = `
Takes jobs out of the control store and runs each in a process of its own, asks webhooks about conflicts, starts the jobs of
schedules, and has new dumps tried where DUMP_DRILL_INTO says so. Any number of workers may share a store; on several machines the store is PostgreSQL (SYNCLINE_DATABASE_URL).
A signal lets every job stop in order; it goes on in another worker, or in this one when it is started again.
`

export function addWorker(program: Command, run: Runner): void {
  const command = program
    .command('worker')
    .description('run jobs of the control store until it is stopped')
    .addHelpText('after', HELP)
  addCommonFlags(command).action(async () =>
    run(command, async ({ output, signal }) => {
      output.note('Waiting for jobs.')
      await runWorker((event) => output.note(eventLine(event)), signal)
      return { exit: EXIT.done, summary: 'Stopped.', result: null, lines: ['Stopped.'] }
    }),
  )
}

function eventLine(event: WorkerEvent): string {
  switch (event.type) {
    case 'started':
      return `${event.jobId}: process ${event.pid} started (claim ${event.epoch})`
    case 'ended':
      return `${event.jobId}: process ${event.pid} ended by ${event.how}`
    case 'killed':
      return `${event.jobId}: process ${event.pid} killed. ${event.reason}`
    case 'released':
      return `${event.jobId}: released; the lease of ${event.owner} ran out`
    case 'webhook answered':
      return `${event.conflictId}: decided by its webhook (${event.id})`
    case 'webhook failed':
      return `${event.conflictId}: ${event.reason} (${event.id})`
    case 'webhook carried out':
      return `${event.configId}: ${event.jobId} carries out what its webhook decided`
    case 'tick seen to':
      return `${event.subject}: its time ${event.tick} has come: ${event.outcome}${event.jobId === null ? '' : ` (${event.jobId})`}${event.reason === null ? '' : `. ${event.reason}`}`
    case 'dump tried':
      return `${event.dump}: ${event.jobId} tries whether it works`
    case 'dump not tried':
      return `${event.dump}: nobody tries whether it works. ${event.reason}`
    case 'dumps not looked for':
      return `No dumps are tried: ${event.reason}`
    case 'store failed':
      return `The control store does not answer: ${event.reason}`
  }
}
