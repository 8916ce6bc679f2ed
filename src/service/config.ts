/**
 * What the environment says, read here and nowhere else. The schema gives name, default and help of every variable, so
 * that whatever lists them is made from it.
 */
import { tmpdir } from 'node:os'

interface Setting {
  readonly name: string
  /** As it would be written into a file of variables; empty where there is none. */
  readonly default: string
  readonly help: string
}

export const SETTINGS = {
  tempDirectory: {
    name: 'SYNCLINE_TEMP_DIR',
    default: '',
    help: 'Where a run keeps its change set until it ends; the temporary directory of the system where not set.',
  },
  failpoint: {
    name: 'FAILPOINT',
    default: '',
    help: 'For tests: NAME:K:kill|stop|throw acts at the K-th pass of a boundary operation.',
  },
} as const satisfies Record<string, Setting>

export interface Config {
  readonly tempDirectory: string
  readonly failpoint: string | null
}

export function readConfig(): Config {
  return {
    tempDirectory: readVariable(SETTINGS.tempDirectory.name) ?? tmpdir(),
    failpoint: readVariable(SETTINGS.failpoint.name),
  }
}

/** A variable that the user named; null where it is not set or empty. */
export function readVariable(name: string): string | null {
  return process.env[name] || null
}

/**
 * Removes the variables by which PostgreSQL's own clients are steered (PGPASSWORD, PGOPTIONS, PGSSLMODE, …) from this
 * process. In a user's shell they belong to another program, and the driver would fall back to them: an address, a
 * password or an option that nobody named must not decide what is read or written.
 */
export function forgetForeignVariables(): void {
  for (const name of Object.keys(process.env)) {
    if (/^(PG[A-Z]|NODE_PG_)/.test(name)) delete process.env[name]
  }
}

/** How the user calls the program: installed, or from a checkout. */
export function calledAs(): string {
  return process.env['npm_lifecycle_event'] ? 'npm run -s syncline --' : 'syncline'
}
