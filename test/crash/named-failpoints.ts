/** The failpoints of the source, by their names. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const SOURCE = fileURLToPath(new URL('../../src', import.meta.url))

export async function namedFailpoints(): Promise<string[]> {
  const files = (await readdir(SOURCE, { recursive: true })).filter((file) => /(?<!\.test)\.ts$/.test(file))
  const texts = await Promise.all(files.map((file) => readFile(join(SOURCE, file), 'utf8')))
  const found = texts.flatMap((text) => [...text.matchAll(/\bfailpoint\('([^']+)'\)/g)].map((match) => match[1] ?? ''))
  return [...new Set(found)].toSorted()
}

/** Whether only jobs of a service pass it: those that keep their changes, and write them in one transaction. */
export function isOfService(name: string): boolean {
  return name.startsWith('change_set.') || name.startsWith('transaction.')
}

/** Whether only exports pass it. */
export function isOfDump(name: string): boolean {
  return name.startsWith('dump.')
}

/** Whether only copies and trials of dumps pass it. */
export function isOfCopy(name: string): boolean {
  return name.startsWith('copy.') || name.startsWith('drill.')
}

/** Whether only imports pass it. */
export function isOfImport(name: string): boolean {
  return name.startsWith('import.') || name.startsWith('restore.')
}
