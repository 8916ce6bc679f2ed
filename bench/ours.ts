import { fileURLToPath } from 'node:url'
import type { Policies } from '#model/sync-config.ts'
import type { Command } from './measure.ts'

/** Our side: the engine in a process of its own, under some policies. */
export function sync(source: string, target: string, policies: Partial<Policies>): Command {
  return { argv: [process.execPath, child('sync-child.ts'), source, target, JSON.stringify(policies)] }
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
