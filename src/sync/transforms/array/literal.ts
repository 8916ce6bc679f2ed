/** The texts of arrays as transforms take and give them. */
import type { Value } from '#model/value.ts'
import { readArray as read, writeArray as write, type ArrayFault } from '#sync/values/array-text.ts'

import { fail } from '#sync/transforms/transform.ts'

const REASONS: Readonly<Record<ArrayFault, string>> = {
  bounds: 'the array has a lower bound of its own',
  dimensions: 'the array has several dimensions',
  broken: 'the array literal cannot be read',
}

/** One dimension, of texts in the canonical form of their type. */
export function writeArray(elements: readonly Value[]): string {
  return write(
    elements.map((element) =>
      element === null || typeof element === 'string' ? element : fail('an element is not valid UTF-8'),
    ),
  )
}

/** The elements of an array of one dimension that begins at 1. */
export function readArray(text: string): (string | null)[] {
  return read(text, (fault) => fail(REASONS[fault]))
}
