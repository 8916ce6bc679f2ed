/**
 * What a sandbox and its owner say to each other over the pipes: frames of a length (4 bytes, big endian), a letter that
 * says what it is, and a text. Nothing here may import anything: the process of the sandbox can read this folder alone.
 */
export const KIND = {
  /** To the sandbox: the code and its columns, as JSON. */
  code: 'C',
  /** To the sandbox: rows as JSON, an array of arrays of cells. */
  rows: 'R',
  /** From the sandbox: the code can be run. */
  ready: 'Y',
  /** From the sandbox: the code cannot be run; what is wrong, as JSON. */
  broken: 'B',
  /** From the sandbox: the results of the next rows, as JSON; see `guest.ts` for their form. */
  results: 'r',
  /** From the sandbox: what was wrong with the next row, as JSON. */
  fault: 'f',
  /** From the sandbox: all rows were answered. */
  done: 'd',
} as const

export type Kind = (typeof KIND)[keyof typeof KIND]

export interface Frame {
  readonly kind: string
  readonly text: string
}

/** Bytes of a frame that is taken; more is a fault of whoever sent it. */
export const MAX_FRAME = 32 * 1024 * 1024

const HEAD = 5

export function encodeFrame(kind: Kind, text: string): Buffer {
  const length = Buffer.byteLength(text)
  const frame = Buffer.allocUnsafe(HEAD + length)
  frame.writeUInt32BE(length, 0)
  frame.write(kind, 4, 'latin1')
  frame.write(text, HEAD, 'utf8')
  return frame
}

/** Puts frames together out of what a pipe brings. */
export class FrameReader {
  #chunks: Buffer[] = []
  #length = 0

  /** @returns the frames that are whole, or null where one is longer than allowed */
  push(chunk: Buffer): Frame[] | null {
    this.#chunks.push(chunk)
    this.#length += chunk.length
    const frames: Frame[] = []
    for (;;) {
      if (this.#length < HEAD) return frames
      const length = this.#first(HEAD).readUInt32BE(0)
      if (length > MAX_FRAME) return null
      if (this.#length < HEAD + length) return frames
      const whole = this.#first(HEAD + length)
      frames.push({ kind: whole.toString('latin1', 4, HEAD), text: whole.toString('utf8', HEAD, HEAD + length) })
      this.#chunks[0] = whole.subarray(HEAD + length)
      this.#length -= HEAD + length
    }
  }

  /** The first chunk, with at least so many bytes, which must be there. A frame is joined once, when it is whole. */
  #first(bytes: number): Buffer {
    const [first] = this.#chunks
    if (first !== undefined && first.length >= bytes) return first
    const joined = Buffer.concat(this.#chunks)
    this.#chunks = [joined]
    return joined
  }
}

/** What the sandbox is told first. */
export interface CodeMessage {
  readonly code: string
  readonly columns: readonly { readonly name: string; readonly as: CellForm }[]
  readonly outputs: readonly string[]
  /** Milliseconds that one row may take. */
  readonly rowMs: number
}

/** What a cell is to the code. */
export type CellForm = 'bigint' | 'number' | 'boolean' | 'string'

/** What is wrong with one row. */
export interface FaultMessage {
  readonly fault: 'threw' | 'time' | 'memory' | 'output'
  /** The name of an error of the language, or what the result lacks. */
  readonly reason: string
  /** The code's own words. They may hold values of the row. */
  readonly detail: string
  /** The line of the code, from 1; 0 where it is not known. */
  readonly line: number
}
