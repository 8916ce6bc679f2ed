import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { examineDatabase } from '#adapters/registry.ts'
import { toError } from '#lib/assert.ts'
import { systemClock } from '#lib/clock.ts'
import type { Check } from '#model/check.ts'
import { readRunConfig } from './config.ts'
import type { Reference } from './reference.ts'

const OLDEST_NODE = 24

/** Looks at a database as a sync would meet it; each step comes as soon as it is known. */
export function examineReference({ url }: Reference, signal: AbortSignal): AsyncIterable<Check> {
  return examineDatabase(url.reveal(), { steps: 'sync', signal })
}

/** Looks at this machine: what the program runs on, and where it keeps its change sets. */
export function examineMachine(): Check[] {
  return [lookAtNode(), lookAtFolder()]
}

function lookAtNode(): Check {
  const major = Number(process.versions.node.split('.')[0])
  const old = major < OLDEST_NODE
  return {
    step: 'Node.js',
    state: old ? 'fail' : 'pass',
    found: process.versions.node,
    next: old ? `Install Node.js ${OLDEST_NODE} or newer.` : null,
    ms: 0,
  }
}

function lookAtFolder(): Check {
  const { tempDirectory } = readRunConfig()
  const before = systemClock.elapsed()
  const check = { step: 'temporary directory', ms: 0 }
  try {
    rmSync(mkdtempSync(join(tempDirectory, 'syncline-doctor-')), { recursive: true })
    const ms = Math.round(systemClock.elapsed() - before)
    return { ...check, state: 'pass', found: `${tempDirectory} can be written`, next: null, ms }
  } catch (error) {
    return {
      ...check,
      state: 'fail',
      found: toError(error).message,
      next: 'Set SYNCLINE_TEMP_DIR to a directory that can be written.',
    }
  }
}
