import { readFileSync } from 'node:fs'

/** The version of the package, from wherever it runs: `src/` and `dist/` lie equally deep. */
export function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  const found = /"version": "([^"]+)"/.exec(text)?.[1]
  return found ?? 'unknown'
}
