/**
 * Compiles `src/` to `dist/` for publishing; what is in `dist/admin/` is built by `build-admin.ts`, and stays. tsc rewrites relative imports to `.js`; imports by `#module/file.ts` it leaves
 * alone, and the package.json of `dist/` maps them. The check of types is a script of its own: here it would complain of
 * those very imports.
 */
import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const dist = join(root, 'dist')

for (const name of existsSync(dist) ? readdirSync(dist) : []) {
  if (name !== 'admin') rmSync(join(dist, name), { recursive: true })
}
const tsc = join(root, 'node_modules/typescript7/bin/tsc')
execFileSync(process.execPath, [tsc, '-p', join(root, 'tsconfig.build.json')], { stdio: 'inherit' })

const modules = readdirSync(join(root, 'src'), { withFileTypes: true }).filter((entry) => entry.isDirectory())
const imports = Object.fromEntries(modules.map(({ name }) => [`#${name}/*.ts`, `./${name}/*.js`]))
writeFileSync(join(dist, 'package.json'), `${JSON.stringify({ type: 'module', imports }, null, 2)}\n`)
chmodSync(join(dist, 'main.js'), 0o755)
