/**
 * Builds the admin pages to `dist/admin/`, each part packed beforehand as browsers take it: the service sends files, and packs
 * none.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import { build } from 'vite'

const root = fileURLToPath(new URL('..', import.meta.url))

/** What is smaller is sent as it is. */
const WORTH_PACKING = 1_024

await build({ root: join(root, 'admin'), logLevel: 'warn' })

const assets = join(root, 'dist/admin/assets')
for (const name of readdirSync(assets)) {
  const file = join(assets, name)
  const bytes = readFileSync(file)
  if (bytes.length < WORTH_PACKING) continue
  writeFileSync(`${file}.br`, brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }))
  writeFileSync(`${file}.gz`, gzipSync(bytes, { level: 9 }))
}
