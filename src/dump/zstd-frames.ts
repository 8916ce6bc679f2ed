/**
 * Unpacking zstd as its own program does: one frame after another, with frames among them that are skipped (RFC 8878, section
 * 3). A decompressor of Node ends with its first frame.
 */
import { createZstdDecompress, type ZstdDecompress } from 'node:zlib'
import { toError } from '#lib/assert.ts'

const NOTHING = Buffer.alloc(0)

/** Each part of what comes out is a way to another thread and back: with the 16 KiB of Node that takes half of the time. */
export const UNPACKED_BYTES = 256 * 1024

/** @throws Error of the decompressor for what is no frame, or one that is not whole; whatever `packed` fails with */
export async function* unpackZstd(packed: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const input = new Input(packed)
  try {
    for (let first = await input.take(); first !== null; first = await input.take()) yield* unpackFrame(first, input)
  } finally {
    await input.close()
  }
}

async function* unpackFrame(first: Buffer, input: Input): AsyncGenerator<Buffer> {
  const unpacking = createZstdDecompress({ chunkSize: UNPACKED_BYTES })
  const fed = feed(unpacking, first, input)
  fed.catch((error: unknown) => unpacking.destroy(toError(error)))
  try {
    const chunks: AsyncIterable<Buffer> = unpacking
    yield* chunks
    await fed
  } finally {
    unpacking.destroy()
  }
}

/** Gives a frame its bytes; what comes behind it goes back. */
async function feed(unpacking: ZstdDecompress, first: Buffer, input: Input): Promise<void> {
  for (let chunk: Buffer | null = first; chunk !== null; chunk = await input.take()) {
    const before = unpacking.bytesWritten
    await written(unpacking, chunk)
    const taken = unpacking.bytesWritten - before
    if (taken === chunk.length) continue
    input.giveBack(chunk.subarray(taken))
    return
  }
  unpacking.end()
}

/** Until the chunk is done with, the frame has ended, or it is given up. */
function written(unpacking: ZstdDecompress, chunk: Buffer): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const done = (): void => resolve()
  unpacking.once('end', done).once('close', done)
  unpacking.write(chunk, done)
  return promise.finally(() => unpacking.off('end', done).off('close', done))
}

class Input {
  readonly #chunks: AsyncIterator<Buffer>
  #back: Buffer = NOTHING

  constructor(packed: AsyncIterable<Buffer>) {
    this.#chunks = packed[Symbol.asyncIterator]()
  }

  /** Null at the end. */
  async take(): Promise<Buffer | null> {
    const back = this.#back
    this.#back = NOTHING
    if (back.length > 0) return back
    const { done = false, value } = await this.#chunks.next()
    return done ? null : value
  }

  giveBack(bytes: Buffer): void {
    this.#back = bytes
  }

  async close(): Promise<void> {
    await this.#chunks.return?.()
  }
}
