import type { Schemas } from '#api/client.ts'
import { quote } from '#ui/copy.tsx'

export type RunKind = 'dry' | 'sync' | 'verify'

/** What somebody wants to be run. */
export interface Wish {
  readonly kind: RunKind
  readonly mode: 'incremental' | 'full'
  /** Only these tables; none: all of the config. */
  readonly tables: readonly string[]
  /** What is written to although it is protected; then the name of the target is typed. */
  readonly protects: { readonly target: boolean; readonly source: boolean }
  readonly typed: string
}

export function requestOf({ kind, mode, tables, protects, typed }: Wish): Schemas['RunRequest'] {
  return {
    ...(kind === 'verify' ? { kind: 'verify' as const } : {}),
    ...(mode === 'full' && kind !== 'verify' ? { mode } : {}),
    ...(kind === 'dry' ? { dry_run: true } : {}),
    ...(tables.length === 0 ? {} : { tables: [...tables] }),
    ...(protects.target ? { allow_protected_write: true } : {}),
    ...(protects.source ? { allow_protected_source_write: true } : {}),
    ...(protects.target || protects.source ? { confirm: typed } : {}),
  }
}

/** The same from the command line. */
export function commandOf(name: string, { kind, mode, tables, protects, typed }: Wish): string {
  const words = [
    'syncline configs run',
    quote(name),
    ...(kind === 'verify' ? ['--verify'] : []),
    ...(mode === 'full' && kind !== 'verify' ? ['--full'] : []),
    ...(kind === 'dry' ? ['--dry-run'] : []),
    ...tables.map((table) => `--table ${quote(table)}`),
    ...(protects.target ? ['--allow-protected-write'] : []),
    ...(protects.source ? ['--allow-protected-source-write'] : []),
    ...(protects.target || protects.source ? [`--confirm ${quote(typed)}`] : []),
  ]
  return words.join(' ')
}
