/** An import alone in a process, to be killed: no command line, no output. Arguments: the file, and a failpoint or nothing. */
import { openAsBlob } from 'node:fs'
import { basename } from 'node:path'

import { armFailpoint } from '#lib/failpoint.ts'
import { importInto, fileOf } from '#test/harness/import.ts'

const [path = '', failpoint = '', swap = ''] = process.argv.slice(2)
const bytes = Buffer.from(await (await openAsBlob(path)).arrayBuffer())
if (failpoint !== '') armFailpoint(failpoint)
const target = { url: process.env['TARGET'] ?? '' }
await importInto(target, fileOf(bytes, 64 * 1024, basename(path)), { replace: true, swap: swap === 'swap' })
