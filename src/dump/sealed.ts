/**
 * Sealing what is written once and read from its beginning: AES-256-GCM (NIST SP 800-38D) in chunks, each bound to its place
 * and the last one to being the last (the STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizár, 2015). The layout is in
 * docs/dump-format.md.
 */
import { createCipheriv, createDecipheriv, randomBytes, scrypt } from 'node:crypto'
import { Transform, type TransformCallback } from 'node:stream'
import { promisify } from 'node:util'
import { toError } from '#lib/assert.ts'
import type { Secret } from '#lib/secret.ts'
import { AppError } from '#model/errors.ts'

/** How a sealed file begins. */
export const SEALED_MAGIC = Buffer.from('SYNDUMP1', 'ascii')
const MAGIC = SEALED_MAGIC
const SALT_BYTES = 16
const PREFIX_BYTES = 7
const HEAD_BYTES = MAGIC.length + 3 + SALT_BYTES + PREFIX_BYTES
const CHUNK_BYTES = 64 * 1024
const TAG_BYTES = 16
const KEY_BYTES = 32

/** What it takes to try a passphrase: the parameters of scrypt (RFC 7914). */
export interface SealCost {
  readonly logN: number
  readonly r: number
  readonly p: number
}

/** 32 MiB and a tenth of a second or so: what OWASP's Password Storage Cheat Sheet asks for. */
const COST: SealCost = { logN: 15, r: 8, p: 3 }
/** A file that asks for more is not opened: it would take the memory of the process. */
const MOST_LOG_N = 17
const MOST_R = 8
const MOST_P = 16

const derive = promisify<string, Uint8Array, number, { N: number; r: number; p: number; maxmem: number }, Buffer>(
  scrypt,
)

function deriveKey(passphrase: Secret, salt: Uint8Array, { logN, r, p }: SealCost): Promise<Buffer> {
  const N = 2 ** logN
  return derive(passphrase.reveal(), salt, KEY_BYTES, { N, r, p, maxmem: 256 * N * r })
}

/** Whether a file that begins so is sealed. */
export function isSealed(beginning: Buffer): boolean {
  return beginning.subarray(0, MAGIC.length).equals(MAGIC)
}

/** What comes out is sealed with the passphrase. */
export async function sealing(passphrase: Secret, cost: SealCost = COST): Promise<Transform> {
  const salt = randomBytes(SALT_BYTES)
  const { logN, r, p } = cost
  const head = Buffer.concat([MAGIC, Buffer.from([logN, r, p]), salt, randomBytes(PREFIX_BYTES)])
  return new Sealing(head, await deriveKey(passphrase, salt, cost))
}

class Sealing extends Transform {
  readonly #head: Buffer
  readonly #key: Buffer
  readonly #gather = new Gather(CHUNK_BYTES)
  #number = 0

  constructor(head: Buffer, key: Buffer) {
    super()
    this.#head = head
    this.#key = key
    this.push(head)
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    for (const plain of this.#gather.take(chunk)) this.#seal(plain, false)
    done()
  }

  override _flush(done: TransformCallback): void {
    this.#seal(this.#gather.rest(), true)
    done()
  }

  #seal(plain: Uint8Array, last: boolean): void {
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonceOf(this.#head, this.#number++, last)).setAAD(
      this.#head,
    )
    this.push(Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]))
  }
}

/**
 * The other way round. What comes out is authentic as far as it has come; that it is whole shows at the end of the stream.
 * The stream fails with AppError `dump_sealed` where the passphrase is another one, or a chunk was altered, moved or cut.
 */
export function opening(passphrase: Secret): Transform {
  return new Opening(passphrase)
}

class Opening extends Transform {
  readonly #passphrase: Secret
  #head: Buffer = Buffer.alloc(0)
  #key: Buffer | null = null
  readonly #gather = new Gather(CHUNK_BYTES + TAG_BYTES)
  #number = 0

  constructor(passphrase: Secret) {
    super()
    this.#passphrase = passphrase
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    void this.#takeAndTell(chunk, done)
  }

  override _flush(done: TransformCallback): void {
    try {
      if (this.#key === null) throw damaged('it ends in its head')
      this.#open(this.#gather.rest(), this.#key, true)
      done()
    } catch (error) {
      done(toError(error))
    }
  }

  async #takeAndTell(chunk: Buffer, done: TransformCallback): Promise<void> {
    try {
      await this.#take(chunk)
    } catch (error) {
      done(toError(error))
      return
    }
    done()
  }

  async #take(chunk: Buffer): Promise<void> {
    let rest = chunk
    if (this.#key === null) {
      this.#head = Buffer.concat([this.#head, rest])
      if (this.#head.length < HEAD_BYTES) return
      rest = this.#head.subarray(HEAD_BYTES)
      this.#head = this.#head.subarray(0, HEAD_BYTES)
      this.#key = await this.#readKey()
    }
    for (const sealed of this.#gather.take(rest)) this.#open(sealed, this.#key, false)
  }

  async #readKey(): Promise<Buffer> {
    if (!this.#head.subarray(0, MAGIC.length).equals(MAGIC)) throw damaged('it does not begin as a sealed dump does')
    const [logN = 0, r = 0, p = 0] = this.#head.subarray(MAGIC.length)
    if (logN < 1 || logN > MOST_LOG_N || r < 1 || r > MOST_R || p < 1 || p > MOST_P) {
      throw damaged('its head asks for more work than it may')
    }
    const salt = this.#head.subarray(MAGIC.length + 3, MAGIC.length + 3 + SALT_BYTES)
    return deriveKey(this.#passphrase, salt, { logN, r, p })
  }

  #open(sealed: Uint8Array, key: Buffer, last: boolean): void {
    if (sealed.length < TAG_BYTES) throw damaged('its end is missing')
    const body = sealed.subarray(0, sealed.length - TAG_BYTES)
    const decipher = createDecipheriv('aes-256-gcm', key, nonceOf(this.#head, this.#number++, last), {
      authTagLength: TAG_BYTES,
    })
    decipher.setAAD(this.#head).setAuthTag(sealed.subarray(sealed.length - TAG_BYTES))
    const plain = decipher.update(body)
    try {
      decipher.final()
    } catch (error) {
      throw new AppError(
        'dump_sealed',
        'The dump cannot be opened: the passphrase is another one, or the file was altered or cut.',
        { cause: error },
      )
    }
    this.push(plain)
  }
}

function damaged(why: string): AppError {
  return new AppError('dump_damaged', `The sealed dump cannot be read: ${why}.`)
}

function nonceOf(head: Buffer, number: number, last: boolean): Buffer {
  const nonce = Buffer.alloc(PREFIX_BYTES + 5)
  head.copy(nonce, 0, HEAD_BYTES - PREFIX_BYTES)
  nonce.writeUInt32BE(number, PREFIX_BYTES)
  nonce.writeUInt8(last ? 1 : 0, PREFIX_BYTES + 4)
  return nonce
}

/** Cuts what comes into pieces of one size. A full piece is held back until more comes: it may be the last. */
class Gather {
  readonly #size: number
  #parts: Buffer[] = []
  #bytes = 0

  constructor(size: number) {
    this.#size = size
  }

  *take(chunk: Buffer): Generator<Buffer> {
    if (chunk.length === 0) return
    this.#parts.push(chunk)
    this.#bytes += chunk.length
    if (this.#bytes <= this.#size) return
    let all = Buffer.concat(this.#parts)
    while (all.length > this.#size) {
      yield all.subarray(0, this.#size)
      all = all.subarray(this.#size)
    }
    this.#parts = [all]
    this.#bytes = all.length
  }

  rest(): Buffer {
    return Buffer.concat(this.#parts)
  }
}
