import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { FieldDocument } from '#model/field-document.ts'
import type { Policies } from '#model/sync-config.ts'
import type { Command } from './measure.ts'

/** How the program is started: see the first line of `src/main.ts`. */
const FLAGS = ['--max-semi-space-size=2', '--max-old-space-size=400']

/** Compiles the program, so that what is measured is what users install and not its sources. */
export function build(): void {
  execFileSync(process.execPath, [fileURLToPath(new URL('../scripts/build.ts', import.meta.url))], { stdio: 'inherit' })
}

/** The program as its users call it, compiled. */
export function program(...words: readonly string[]): readonly string[] {
  const main = fileURLToPath(new URL('../dist/main.js', import.meta.url))
  return [process.execPath, ...FLAGS, main, ...words]
}

/** `sync SOURCE TARGET …` */
export function sync(source: string, target: string, ...options: readonly string[]): Command {
  return { argv: program('sync', source, target, '--yes', '--json', ...options) }
}

/** No proof and no memory of rows: what a peer does that copies and trusts. Checkpoints and receipt stay. */
export const BARE = ['--baseline', 'none', '--verify', 'off'] as const

/** Everything proved, and a fingerprint of every row kept. */
export const PROVED = ['--baseline', 'fingerprints', '--verify', 'full'] as const

/** The same engine, telling the seconds of each phase. */
export function timedSync(
  source: string,
  target: string,
  policies: Partial<Policies>,
  mapping?: { readonly table: string; readonly fields: readonly FieldDocument[] },
): Command {
  const given = [JSON.stringify(policies), ...(mapping === undefined ? [] : [JSON.stringify(mapping)])]
  return { argv: [process.execPath, ...FLAGS, child('sync-child.ts'), source, target, ...given] }
}

/** A program of this folder. */
export function child(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url))
}

/** What a child program printed last, as JSON. */
export function lastLine(stdout: string): unknown {
  return JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? 'null')
}

export function numberAt(json: unknown, ...path: readonly string[]): number {
  let value: unknown = json
  for (const name of path) {
    value =
      typeof value === 'object' && value !== null ? Object.entries(value).find(([key]) => key === name)?.[1] : undefined
  }
  return typeof value === 'number' ? value : 0
}
