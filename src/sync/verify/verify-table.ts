import type { Proof, RowSource, Scan } from '#adapters/adapter.ts'
import type { Key } from '#model/change.ts'

/**
 * Verification. It shares the canonical form and the plan with the engine and nothing else: it asks each side for a
 * proof over whole rows, made without buckets, fast hashes or change sets, and compares. Rows that the run left apart on
 * purpose (kept, set aside, contested) are taken out of both proofs: xor and sums can be subtracted.
 */
export interface VerifyRequest {
  readonly source: { readonly rows: RowSource; readonly scan: Scan }
  readonly target: { readonly rows: RowSource; readonly scan: Scan }
  /** Keys left apart, in batches. */
  readonly except: () => Iterable<readonly Key[]>
}

export interface Verified {
  readonly equal: boolean
  readonly source: Proof
  readonly target: Proof
}

/** Proves a whole table. */
export async function verifyFull({ source, target, except }: VerifyRequest): Promise<Verified> {
  const [sourceProof, targetProof] = await Promise.all([source.rows.proof(source.scan), target.rows.proof(target.scan)])
  const apart = { source: sourceProof, target: targetProof }
  for (const keys of except()) {
    const [fromSource, fromTarget] = await Promise.all([
      source.rows.proof(source.scan, keys),
      target.rows.proof(target.scan, keys),
    ])
    apart.source = subtract(apart.source, fromSource)
    apart.target = subtract(apart.target, fromTarget)
  }
  return judge(apart.source, apart.target)
}

/** Proves the rows of some keys: those that a run touched. */
export async function verifyKeys({ source, target }: VerifyRequest, keys: Iterable<readonly Key[]>): Promise<Verified> {
  let [sourceProof, targetProof] = [EMPTY_PROOF, EMPTY_PROOF]
  for (const some of keys) {
    const [fromSource, fromTarget] = await Promise.all([
      source.rows.proof(source.scan, some),
      target.rows.proof(target.scan, some),
    ])
    sourceProof = addProofs(sourceProof, fromSource)
    targetProof = addProofs(targetProof, fromTarget)
  }
  return judge(sourceProof, targetProof)
}

function judge(source: Proof, target: Proof): Verified {
  return { equal: source.rows === target.rows && source.digest === target.digest, source, target }
}

const WORDS = 4
const EMPTY_PROOF: Proof = { rows: 0, digest: '0'.repeat(64) }

/** The proof of two sets of rows together. */
export function addProofs(a: Proof, b: Proof): Proof {
  return combine(a, b, (x, y) => x + y)
}

function subtract(a: Proof, b: Proof): Proof {
  return combine(a, b, (x, y) => x - y)
}

/** Folds two proofs word by word: xor for the first two words, `sum` modulo 2^64 for the others. */
function combine(a: Proof, b: Proof, sum: (x: bigint, y: bigint) => bigint): Proof {
  const words = Array.from({ length: WORDS }, (_, i) => {
    const [x, y] = [wordAt(a, i), wordAt(b, i)]
    return BigInt.asUintN(64, i < 2 ? x ^ y : sum(x, y))
  })
  return {
    rows: Number(sum(BigInt(a.rows), BigInt(b.rows))),
    digest: words.map((word) => word.toString(16).padStart(16, '0')).join(''),
  }
}

function wordAt(proof: Proof, index: number): bigint {
  return BigInt(`0x${proof.digest.slice(index * 16, index * 16 + 16)}`)
}
