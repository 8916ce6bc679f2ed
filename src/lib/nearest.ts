/** The known name that somebody most likely meant who wrote another one; null where none is near. */
export function nearest(name: string, known: readonly string[]): string | null {
  const given = name.toLowerCase()
  const most = Math.max(1, Math.floor(given.length / 3))
  let best: { readonly name: string; readonly away: number } | null = null
  for (const other of known) {
    const away = isPartOf(given, other.toLowerCase()) ? 1 : distance(given, other.toLowerCase(), most)
    if (away <= most && (best === null || away < best.away)) best = { name: other, away }
  }
  return best?.name ?? null
}

/** Three letters or more that begin the other name or end it: `detection` of `detection_strategy`. */
function isPartOf(part: string, whole: string): boolean {
  return part.length > 2 && (whole.startsWith(part) || whole.endsWith(part))
}

/** Letters to change, add, leave out or swap with the next (Damerau, optimal alignment); more than `most` is not told apart. */
function distance(a: string, b: string, most: number): number {
  if (Math.abs(a.length - b.length) > most) return most + 1
  let before: number[] = []
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1
      const edits = [(next[j - 1] ?? 0) + 1, (row[j] ?? 0) + 1, (row[j - 1] ?? 0) + same]
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      next.push(Math.min(...edits, ...(isSwap ? [(before[j - 2] ?? 0) + 1] : [])))
    }
    before = row
    row = next
  }
  return row[b.length] ?? 0
}
