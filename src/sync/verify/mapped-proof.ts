import type { Proof } from '#adapters/adapter.ts'
import { hashRow } from '#model/fingerprint.ts'
import type { Row } from '#model/value.ts'

/**
 * The proof over rows that are computed on their way, made here as a server makes it over stored ones: MD5 over the
 * canonical form of each, folded into 128-bit xor and sums. It shares the canonical form and the mapping with the engine.
 */
export async function mappedProof(each: (take: (rows: readonly Row[]) => void) => Promise<void>): Promise<Proof> {
  let rows = 0
  let [xorHigh, xorLow, sumHigh, sumLow] = [0n, 0n, 0n, 0n]
  await each((batch) => {
    rows += batch.length
    for (const row of batch) {
      const digest = hashRow(row)
      const [high, low] = [digest.readBigUInt64BE(0), digest.readBigUInt64BE(8)]
      xorHigh ^= high
      xorLow ^= low
      sumHigh += digest.readBigInt64BE(0)
      sumLow += digest.readBigInt64BE(8)
    }
  })
  const words = [xorHigh, xorLow, sumHigh, sumLow].map((word) =>
    BigInt.asUintN(64, word).toString(16).padStart(16, '0'),
  )
  return { rows, digest: words.join('') }
}
