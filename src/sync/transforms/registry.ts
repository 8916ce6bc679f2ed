/** The table of all transforms. */
import { ARRAYS } from './array/arrays.ts'
import { CASTS } from './cast/casts.ts'
import { CHOICES, TRUTH } from './choice/choices.ts'
import { GEOMETRIES } from './geometry/geometry.ts'
import { UUIDS } from './identity/uuids.ts'
import { JSONS } from './json/jsons.ts'
import { NUMBERS } from './number/numbers.ts'
import { PHP } from './php/phps.ts'
import { PRIVACY } from './privacy/privacy.ts'
import { CLEAN } from './text/clean.ts'
import { CONTACT } from './text/contact.ts'
import { ENCODE } from './text/encode.ts'
import { HTML } from './text/html.ts'
import { PATTERNS } from './text/pattern.ts'
import { SHAPE } from './text/shape.ts'
import { TIMES } from './time/times.ts'
import { NUMBER_TEXTS } from '#sync/transforms/number/spelling.ts'
import { ZONES } from '#sync/transforms/time/zones.ts'
import { MEASURES } from '#sync/transforms/time/measure.ts'
import { ZERO_DATES } from '#sync/transforms/time/zero-date.ts'
import { JSON_BUILT } from '#sync/transforms/json/build.ts'
import type { Transform } from './transform.ts'

export const TRANSFORMS: readonly Transform[] = [
  ...CLEAN,
  ...SHAPE,
  ...CONTACT,
  ...PATTERNS,
  ...ENCODE,
  ...HTML,
  ...NUMBERS,
  ...NUMBER_TEXTS,
  ...TRUTH,
  ...TIMES,
  ...ZONES,
  ...MEASURES,
  ...ZERO_DATES,
  ...JSONS,
  ...JSON_BUILT,
  ...ARRAYS,
  ...CHOICES,
  ...CASTS,
  ...PRIVACY,
  ...PHP,
  ...UUIDS,
  ...GEOMETRIES,
]

const BY_NAME: ReadonlyMap<string, Transform> = new Map(TRANSFORMS.map((transform) => [transform.name, transform]))

export function findTransform(name: string): Transform | null {
  return BY_NAME.get(name) ?? null
}

/** The name that somebody may have meant; null where none is near. */
export function nearestName(name: string): string | null {
  const near = TRANSFORMS.map((transform) => ({
    name: transform.name,
    distance: distance(name.toLowerCase(), transform.name),
  }))
  const best = near.reduce((a, b) => (b.distance < a.distance ? b : a))
  return best.distance <= Math.max(1, Math.floor(best.name.length / 3)) ? best.name : null
}

/** Letters that are to be put in, taken out or changed. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= Math.min(a.length, 60); i += 1) {
    const next = [i]
    for (let j = 1; j <= b.length; j += 1) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row.at(-1) ?? 0
}
