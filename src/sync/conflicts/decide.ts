import type { Agreed, ConflictKind, ConflictStrategy } from '#model/conflict.ts'
import type { Fingerprint } from '#model/fingerprint.ts'

/**
 * What is to become of one key, decided on fingerprints alone. Those of the two sides are comparable with each other:
 * equal ones are equal rows. States are compared, not histories: a row that was deleted and inserted again is an updated
 * one, and a changed key is a row deleted under the old key and another inserted under the new one.
 */
export interface ThreeWay {
  /** Null: there is no row. */
  readonly source: Fingerprint | null
  readonly target: Fingerprint | null
  /** Null: never known to agree. */
  readonly agreed: Agreed | null
  /** The baseline knows every row that is in step: a key that it lacks is new on whichever side has it. Else it may be first contact. */
  readonly baselineComplete: boolean
}

export interface DecisionPolicy {
  readonly strategy: ConflictStrategy
  readonly direction: 'one_way' | 'two_way'
}

export type Verdict =
  /** Both sides are the same, and the baseline is to say so, if it does not yet. */
  | { readonly do: 'adopt' }
  /** `agreed`: neither side changed since they agreed to differ. `drift`: only the target changed, and it stays. */
  | { readonly do: 'nothing'; readonly why: 'agreed' | 'drift' }
  /** The target gets what the source has, a row or none. */
  | { readonly do: 'to_target' }
  /**
   * The source gets what the target has, a row or none. The baseline cannot be committed with a row of the source: it says
   * beforehand what is sent, and the source's transaction leaves a mark. By the mark a run that comes after one that was
   * cut off knows that both sides had the row, whatever they have by now; else an edit of one side would look like two.
   */
  | { readonly do: 'to_source' }
  /** Both stay as they are, and are remembered as agreed. */
  | { readonly do: 'settle' }
  /** Both changed: by time, field by field, or by somebody. */
  | { readonly do: 'contest'; readonly kind: ConflictKind }

/**
 * Decides one key. The delete policy and its scope are not looked at: the caller applies them to a `to_target` without a
 * row in the source, and to a `to_source` without one in the target.
 */
export function decide(three: ThreeWay, policy: DecisionPolicy): Verdict {
  if (three.source === three.target) return ADOPT
  // Nothing that the target has of its own stands against the source then, whatever was remembered.
  if (policy.strategy === 'source_wins' && policy.direction === 'one_way') return TO_TARGET
  if (three.agreed === null && !three.baselineComplete) return meet(three, policy)
  const agreed = three.agreed ?? NO_ROWS
  const [sourceChanged, targetChanged] = [three.source !== agreed.source, three.target !== agreed.target]
  if (sourceChanged && targetChanged) return contest(kindOf(three, agreed), policy)
  if (sourceChanged) return TO_TARGET
  return targetChanged ? fromTarget(policy) : { do: 'nothing', why: 'agreed' }
}

const ADOPT: Verdict = { do: 'adopt' }
const TO_TARGET: Verdict = { do: 'to_target' }
const NO_ROWS: Agreed = { source: null, target: null }

/** First contact: a row that one side lacks is taken for a new one, as nothing says that it was deleted. */
function meet({ source, target }: ThreeWay, policy: DecisionPolicy): Verdict {
  if (target === null) return TO_TARGET
  return source === null ? fromTarget(policy) : contest('first_contact', policy)
}

function fromTarget({ direction }: DecisionPolicy): Verdict {
  return direction === 'two_way' ? { do: 'to_source' } : { do: 'nothing', why: 'drift' }
}

function contest(kind: ConflictKind, { strategy, direction }: DecisionPolicy): Verdict {
  if (strategy === 'source_wins') return TO_TARGET
  if (strategy === 'target_wins') return direction === 'two_way' ? { do: 'to_source' } : { do: 'settle' }
  return { do: 'contest', kind }
}

function kindOf({ source, target }: ThreeWay, agreed: Agreed): ConflictKind {
  if (source === null) return 'delete_update'
  if (target === null) return 'update_delete'
  return agreed.source === null && agreed.target === null ? 'insert_insert' : 'update_update'
}
