import { createHash } from 'node:crypto'
import { PassThrough, type Transform, type Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { constants, createGzip, createZstdCompress } from 'node:zlib'
import { toError } from '#lib/assert.ts'
import type { Secret } from '#lib/secret.ts'
import { sealLines, type DumpCompression } from '#model/dump.ts'
import { AppError } from '#model/errors.ts'
import { sealing } from './sealed.ts'

/** Where the bytes of a dump go, in order. */
export interface DumpSink {
  write(chunk: Uint8Array): Promise<void>
}

/** SQL that waits for the packer: while that is at work in another thread, more of it comes. */
const AHEAD_BYTES = 1024 * 1024

/** Fast, and still smaller than gzip at its best. */
const ZSTD_LEVEL = 2
const GZIP_LEVEL = 6
const PACKED_CHUNK_BYTES = 256 * 1024

/** Small texts are written together. */
const TEXT_BYTES = 64 * 1024

/** Packs and seals SQL on its way into a sink. At most a few MiB of it are in memory. */
export class DumpWriter implements AsyncDisposable {
  readonly #input: Writable
  readonly #done: Promise<void>
  readonly #digest = createHash('sha256')
  #text: string[] = []
  #textBytes = 0
  /** Bytes of SQL until now. */
  bytes = 0

  private constructor(input: Writable, done: Promise<void>) {
    this.#input = input
    this.#done = done
    // It is told by the next write, or by the end.
    done.catch(() => undefined)
  }

  static async open(
    sink: DumpSink,
    { compression, passphrase }: { readonly compression: DumpCompression; readonly passphrase: Secret | null },
  ): Promise<DumpWriter> {
    const input = packing(compression)
    const seal = passphrase === null ? new PassThrough() : await sealing(passphrase)
    const done = pipeline(input, seal, async (packed: AsyncIterable<Buffer>) => {
      for await (const chunk of packed) await sink.write(chunk)
    })
    return new DumpWriter(input, done)
  }

  /** @throws whatever the sink fails with */
  async text(text: string): Promise<void> {
    this.#text.push(text)
    this.#textBytes += text.length
    if (this.#textBytes >= TEXT_BYTES) await this.#flushText()
  }

  /** The chunk belongs to the writer from now on. */
  async raw(chunk: Uint8Array): Promise<void> {
    await this.#flushText()
    await this.#write(chunk)
  }

  /** Ends the dump with the digest of all that was written. */
  async end(): Promise<void> {
    await this.#flushText()
    await this.#write(Buffer.from(sealLines(this.#digest.copy().digest('hex')), 'utf8'))
    this.#input.end()
    await this.#done
  }

  async #flushText(): Promise<void> {
    if (this.#text.length === 0) return
    const bytes = Buffer.from(this.#text.join(''), 'utf8')
    this.#text = []
    this.#textBytes = 0
    await this.#write(bytes)
  }

  async #write(chunk: Uint8Array): Promise<void> {
    if (chunk.length === 0) return
    this.#digest.update(chunk)
    this.bytes += chunk.length
    if (!this.#input.destroyed && (this.#input.write(chunk) || (await drained(this.#input)))) return
    await this.#done
    throw new AppError('internal', 'A dump was written to after its end.')
  }

  /** What was not ended is given up. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#input.writableFinished) return
    this.#input.destroy()
    await this.#done.catch(toError)
  }
}

/**
 * Whether a stream takes more; false where it was given up. Nothing is left behind in what outlives the wait: a race against the
 * end of the dump would keep a trace of every chunk until then.
 */
async function drained(stream: Writable): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const go = (): void => resolve(true)
  const giveUp = (): void => resolve(false)
  stream.once('drain', go).once('close', giveUp)
  try {
    return await promise
  } finally {
    stream.off('drain', go).off('close', giveUp)
  }
}

function packing(compression: DumpCompression): Transform {
  const options = { highWaterMark: AHEAD_BYTES, chunkSize: PACKED_CHUNK_BYTES }
  switch (compression) {
    case 'none':
      return new PassThrough({ highWaterMark: AHEAD_BYTES })
    case 'gzip':
      return createGzip({ ...options, level: GZIP_LEVEL })
    case 'zstd':
      return createZstdCompress({
        ...options,
        params: { [constants.ZSTD_c_compressionLevel]: ZSTD_LEVEL, [constants.ZSTD_c_checksumFlag]: 1 },
      })
  }
}
