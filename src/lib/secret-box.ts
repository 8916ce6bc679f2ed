import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto'

const ALGORITHM = 'aes-256-gcm'
const NONCE_BYTES = 12
const TAG_BYTES = 16
const KEY_ID_BYTES = 4
const KEY_BYTES = 32
const BYTES_VERSION = 1

/** Thrown where a box cannot be opened: another key, another owner, or damage. */
export class SealBroken extends Error {
  override readonly name = 'SealBroken'
}

/**
 * Seals texts with AES-256-GCM (NIST SP 800-38D) under a random 96-bit nonce. Each box is bound to its owner (the id of
 * the record that holds it), so that a box moved to another record does not open. A box names the key that made it, so
 * that keys can be changed while both are known.
 */
export class SecretBox {
  readonly #current: Key
  readonly #keys: ReadonlyMap<string, Key>

  /** @param keys 32 bytes or more each; the first one seals, all of them open */
  constructor(keys: readonly [Uint8Array, ...Uint8Array[]]) {
    const derived = keys.map(derive)
    const [current] = derived
    if (current === undefined) throw new RangeError('A secret box needs a key.')
    this.#current = current
    this.#keys = new Map(derived.map((key) => [key.id, key]))
  }

  /** Names the key that seals. It is derived from the key and does not tell it. */
  get keyId(): string {
    return this.#current.id
  }

  seal(text: string, owner: string): string {
    const nonce = randomBytes(NONCE_BYTES)
    const cipher = createCipheriv(ALGORITHM, this.#current.bytes, nonce).setAAD(Buffer.from(owner, 'utf8'))
    const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()])
    return `v1.${this.#current.id}.${nonce.toString('base64url')}.${body.toString('base64url')}`
  }

  /** @throws SealBroken */
  open(box: string, owner: string): string {
    const [version, keyId = '', nonce = '', body = ''] = box.split('.')
    const key = this.#keys.get(keyId)
    if (version !== 'v1' || key === undefined) throw new SealBroken('It was sealed with a key that is not known here.')
    const bytes = Buffer.from(body, 'base64url')
    try {
      const decipher = createDecipheriv(ALGORITHM, key.bytes, Buffer.from(nonce, 'base64url'), {
        authTagLength: TAG_BYTES,
      })
      decipher.setAAD(Buffer.from(owner, 'utf8')).setAuthTag(bytes.subarray(-TAG_BYTES))
      return Buffer.concat([decipher.update(bytes.subarray(0, -TAG_BYTES)), decipher.final()]).toString('utf8')
    } catch (error) {
      throw new SealBroken('It was changed, or belongs to another record.', { cause: error })
    }
  }

  /** The same for bytes, as bytes: version, key, nonce, body and tag. */
  sealBytes(plain: Uint8Array, owner: string): Buffer {
    const nonce = randomBytes(NONCE_BYTES)
    const cipher = createCipheriv(ALGORITHM, this.#current.bytes, nonce).setAAD(Buffer.from(owner, 'utf8'))
    const head = Buffer.from([BYTES_VERSION])
    const keyId = Buffer.from(this.#current.id, 'hex')
    return Buffer.concat([head, keyId, nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()])
  }

  /** @throws SealBroken */
  openBytes(box: Uint8Array, owner: string): Buffer {
    const bytes = Buffer.from(box.buffer, box.byteOffset, box.byteLength)
    const key = this.#keys.get(bytes.subarray(1, 1 + KEY_ID_BYTES).toString('hex'))
    const body = 1 + KEY_ID_BYTES + NONCE_BYTES
    if (bytes[0] !== BYTES_VERSION || bytes.length < body + TAG_BYTES || key === undefined) {
      throw new SealBroken('It was sealed with a key that is not known here, or is no box.')
    }
    try {
      const nonce = bytes.subarray(1 + KEY_ID_BYTES, body)
      const decipher = createDecipheriv(ALGORITHM, key.bytes, nonce, { authTagLength: TAG_BYTES })
      decipher.setAAD(Buffer.from(owner, 'utf8')).setAuthTag(bytes.subarray(-TAG_BYTES))
      return Buffer.concat([decipher.update(bytes.subarray(body, -TAG_BYTES)), decipher.final()])
    } catch (error) {
      throw new SealBroken('It was changed, or belongs to another record.', { cause: error })
    }
  }

  /**
   * An HMAC-SHA256 by which a text is known again, in hex. Without the key it tells nothing of the text, not even to
   * somebody who tries likely ones.
   */
  mac(text: string): string {
    return macWith(this.#current, text)
  }

  /** Whether a MAC is of this text, by any of the keys. */
  isMacOf(mac: string, text: string): boolean {
    const given = Buffer.from(mac, 'utf8')
    return [...this.#keys.values()].some((key) => {
      const own = Buffer.from(macWith(key, text), 'utf8')
      return own.length === given.length && timingSafeEqual(own, given)
    })
  }

  /** Whether the box was made with the key that seals now. */
  isCurrent(box: string): boolean {
    return box.split('.')[1] === this.#current.id
  }
}

interface Key {
  readonly id: string
  readonly bytes: Buffer
  readonly macBytes: Buffer
}

function macWith(key: Key, text: string): string {
  return createHmac('sha256', key.macBytes).update(text, 'utf8').digest('hex')
}

function derive(secret: Uint8Array): Key {
  const make = (purpose: string, length: number): Buffer => Buffer.from(hkdfSync('sha256', secret, '', purpose, length))
  return {
    id: make('syncline key id', KEY_ID_BYTES).toString('hex'),
    bytes: make('syncline secret box', KEY_BYTES),
    macBytes: make('syncline mac', KEY_BYTES),
  }
}
