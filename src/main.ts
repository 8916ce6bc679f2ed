#!/usr/bin/env -S node --max-semi-space-size=2 --max-old-space-size=400
// Rows pass through and are garbage at once: a small nursery and a heap that is swept early halve the memory (MiB).
const OLDEST_NODE = 24

if (Number(process.versions.node.split('.')[0]) < OLDEST_NODE) {
  process.stderr.write(`syncline needs Node.js ${OLDEST_NODE} or newer; this is ${process.versions.node}.\n`)
  process.exitCode = 1
} else {
  // One after the other: an older Node.js cannot load them, and the driver reads the environment while it is loaded.
  const { forgetForeignVariables } = await import('#service/config.ts')
  forgetForeignVariables()
  const { runCli } = await import('#cli/run-cli.ts')
  process.exitCode = await runCli(process.argv.slice(2))
}
