/** The parts of the service that run jobs: a supervisor, and the process of one job. */
import { randomBytes } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { hostname } from 'node:os'
import { EmbeddedStaging } from '#control/embedded-staging.ts'
import { serveJob } from '#jobs/job-process.ts'
import type { JobTools } from '#jobs/run-job.ts'
import { Supervisor, type SupervisorOptions } from '#jobs/supervisor.ts'
import { must } from '#lib/assert.ts'
import { systemClock } from '#lib/clock.ts'
import { armFailpoint } from '#lib/failpoint.ts'
import { openBase, type Base } from './base.ts'
import { datasourceOpener } from './datasource-tools.ts'
import { dumpTools } from './dumps.ts'
import { PrivateFolder } from './private-folder.ts'
import { changeSetTools } from './staging.ts'

/** Memory is bounded in the process of a job as in every other: see `main.ts` (MiB). */
const NODE_OPTIONS = ['--max-semi-space-size=2', '--max-old-space-size=400']

/** A supervisor whose jobs run in processes of this very program. */
export function createSupervisor(
  { store, config }: Pick<Base, 'store' | 'config'>,
  listeners: Pick<SupervisorOptions, 'onEvent' | 'onProgress'>,
): Supervisor {
  return new Supervisor({
    store,
    owner: `${hostname()}/${process.pid}/${randomBytes(4).toString('hex')}`,
    maxJobs: config.maxJobs,
    leaseMs: config.leaseSeconds * 1_000,
    memoryBytes: config.jobMemoryMb * 1_048_576,
    program: {
      path: must(process.argv[1], 'the path of the program'),
      args: ['job-process'],
      nodeOptions: NODE_OPTIONS,
    },
    ...listeners,
  })
}

/** What the process of a job does: runs the one job that its supervisor names. */
export async function runJobProcess(signal: AbortSignal): Promise<void> {
  await using stack = new AsyncDisposableStack()
  const open = async (): Promise<JobTools> => {
    const base = stack.use(await openBase({ migrate: false }))
    const { failpoint, tempDirectory, maskKey } = base.config
    if (failpoint !== null) armFailpoint(failpoint)
    mkdirSync(tempDirectory, { recursive: true })
    const folder = stack.use(new PrivateFolder(tempDirectory, 'job'))
    return {
      store: base.store,
      openDatasource: datasourceOpener(base, base.rules),
      openStaging: () => new EmbeddedStaging(folder.newFile('changes.sqlite')),
      clock: systemClock,
      maskKey,
      box: base.box,
      changeSets: stack.use(changeSetTools(base)),
      dumps: dumpTools(base),
    }
  }
  await serveJob(open(), signal)
}
