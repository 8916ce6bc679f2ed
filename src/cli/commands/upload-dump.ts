import { open } from 'node:fs/promises'
import { asObject, type ApiClient } from '#api/client.ts'
import type { Context, Outcome } from '#cli/command.ts'
import { formatBytes, printable } from '#cli/format.ts'
import type { Output } from '#cli/output.ts'
import { toError } from '#lib/assert.ts'
import { systemClock } from '#lib/clock.ts'
import { AppError, EXIT } from '#model/errors.ts'

const REDRAW_MS = 100
const LINE_MS = 10_000

/** Brings a file into the directory of dumps of a service. @throws AppError `usage` where it cannot be read; `dump_space` */
export async function uploadDump(client: ApiClient, file: string, { output }: Context): Promise<Outcome> {
  await using handle = await open(file, 'r').catch((error: unknown) => {
    throw new AppError('usage', `The file ${file} cannot be read: ${toError(error).message}.`, { cause: error })
  })
  const { size } = await handle.stat()
  const bytes = handle.createReadStream({ autoClose: false })
  const dump = asObject(await client.upload('/dumps', told(bytes, { file, size, output })))
  output.status([])
  const summary = `${String(dump['id'])} ${printable(String(dump['file']))}: ${formatBytes(Number(dump['bytes']))}`
  return { exit: EXIT.done, summary, result: dump, lines: [summary] }
}

interface Upload {
  readonly file: string
  readonly size: number
  readonly output: Output
}

/** The same bytes; how many of them are on their way by now is shown. */
async function* told(bytes: AsyncIterable<Uint8Array>, { file, size, output }: Upload): AsyncGenerator<Uint8Array> {
  let sent = 0
  let shownMs = output.live ? -Infinity : systemClock.elapsed()
  for await (const chunk of bytes) {
    yield chunk
    sent += chunk.length
    const nowMs = systemClock.elapsed()
    if (nowMs - shownMs < (output.live ? REDRAW_MS : LINE_MS)) continue
    shownMs = nowMs
    const line = `${printable(file)}: ${formatBytes(sent)} of ${formatBytes(size)}`
    if (output.live) output.status([line])
    else output.note(line)
  }
}
