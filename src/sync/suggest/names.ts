import { areOpposite, isWeak, PHRASES, WORDS } from './vocabulary.ts'

/** What a name says: concepts and words, in their order. */
export type Meaning = readonly string[]

/** The longest phrase of the vocabulary, in words. */
const PHRASE_WORDS = 4

/**
 * A name as plain words: `post_title`, `postTitle`, `PostTitle`, `POST-TITLE` and `tblPostTitle` alike; without accents.
 */
export function splitName(name: string): string[] {
  return name
    .normalize('NFKD')
    .replaceAll(/\p{M}/gu, '')
    .replaceAll('ß', 'ss')
    .replaceAll(/(\p{Ll}|\d)(\p{Lu})/gu, '$1 $2')
    .replaceAll(/(\p{Lu}+)(\p{Lu}\p{Ll})/gu, '$1 $2')
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .filter((word) => word !== '')
}

/** Words as the concepts that they name, alone, together or taken apart. */
export function meaningOf(words: readonly string[]): Meaning {
  const found: string[] = []
  const whole = words.flatMap((word) => (PHRASES.has(word) ? [word] : takeApart(word)))
  for (let at = 0; at < whole.length;) {
    const phrase = longestPhrase(whole, at)
    if (phrase === null) {
      found.push(singular(whole[at] ?? ''))
      at += 1
    } else {
      found.push(...partsOf(phrase.concept))
      at += phrase.words
    }
  }
  return found
}

/** The number of a thing is two things, so that in the thing's own table the number alone is left. */
function partsOf(concept: string): string[] {
  return concept.endsWith('_number') ? concept.split('_') : [concept]
}

function longestPhrase(words: readonly string[], at: number): { concept: string; words: number } | null {
  for (let count = Math.min(PHRASE_WORDS, words.length - at); count > 0; count -= 1) {
    const given = words.slice(at, at + count)
    for (const last of forms(given.at(-1) ?? '')) {
      const concept = PHRASES.get([...given.slice(0, -1), last].join('_'))
      if (concept !== undefined) return { concept, words: count }
    }
  }
  return null
}

/** A word as it is, and as it would be without the ending of a plural in the languages of the vocabulary. */
function forms(word: string): readonly string[] {
  if (word.length < 5) return [word, singular(word)]
  return [
    word,
    singular(word),
    ...['n', 'en', 'e', 'es'].filter((end) => word.endsWith(end)).map((end) => word.slice(0, -end.length)),
  ]
}

export function singular(word: string): string {
  if (word.length < 4 || /(?:ss|us|is)$/.test(word)) return word
  if (word.endsWith('ies')) return `${word.slice(0, -3)}y`
  if (/(?:ch|sh|x|ss|z)es$/.test(word)) return word.slice(0, -2)
  return word.endsWith('s') ? word.slice(0, -1) : word
}

/** `lieferdatum` → `liefer datum`, `orderdate` → `order date`: where words of the vocabulary cover it without rest. */
function takeApart(word: string): string[] {
  const bare = word.replace(/\d+$/, '')
  if (bare.length < 5 || WORDS.has(word) || WORDS.has(singular(word))) return [word]
  return cover(bare) ?? [word]
}

function cover(word: string): string[] | null {
  for (let end = word.length - 2; end >= 3; end -= 1) {
    const head = word.slice(0, end)
    if (!WORDS.has(head)) continue
    const rest = word.slice(end)
    // German joins words by an s or an n.
    for (const tail of [rest, rest.replace(/^[sn]/, '')]) {
      if (WORDS.has(tail) || tail === 'id' || tail === 'nr' || tail === 'no') return [head, tail]
      const more = tail.length >= 6 ? cover(tail) : null
      if (more !== null) return [head, ...more]
    }
  }
  return null
}

/** How alike two meanings are, 0 to 1: the share of what they say that both say; weak words count less. */
export function likeness(a: Meaning, b: Meaning): number {
  if (a.length === 0 || b.length === 0) return 0
  if (a.join(' ') === b.join(' ')) return 1
  const free = new Set(b.keys())
  let shared = 0
  const leftA: string[] = []
  for (const word of a) {
    let best = { at: -1, score: 0 }
    for (const at of free) {
      const score = wordLikeness(word, b[at] ?? '')
      if (score > best.score) best = { at, score }
    }
    if (best.score < 0.6) {
      leftA.push(word)
      continue
    }
    free.delete(best.at)
    shared += best.score * (weight(word) + weight(b[best.at] ?? ''))
  }
  const score = shared / (sum(a) + sum(b))
  const leftB = [...free].map((at) => b[at] ?? '')
  const contradicts = leftA.some((one) => leftB.some((other) => areOpposite(one, other)))
  return contradicts ? Math.min(score, 0.2) : score
}

function sum(words: Meaning): number {
  return words.reduce((total, word) => total + weight(word), 0)
}

function weight(word: string): number {
  if (/^\d+$/.test(word)) return 0.5
  return isWeak(word) ? 0.5 : 1
}

/** Words of different kinds that name the same thing in another way. */
const NEAR: ReadonlyMap<string, number> = new Map(
  (
    [
      ['id', 'number', 0.75],
      ['id', 'uuid', 0.8],
      ['id', 'code', 0.65],
      ['number', 'code', 0.75],
      ['total', 'amount', 0.7],
      ['price', 'cost', 0.6],
      ['price', 'amount', 0.6],
      ['total', 'sum', 1],
      ['name', 'full_name', 0.85],
      ['name', 'title', 0.75],
      ['username', 'name', 0.6],
      ['address', 'street', 0.65],
      ['content', 'description', 0.65],
      ['note', 'description', 0.65],
      ['note', 'content', 0.6],
      ['excerpt', 'description', 0.75],
      ['website', 'url', 0.85],
      ['mobile', 'phone', 0.75],
      ['quantity', 'count', 0.75],
      ['quantity', 'stock', 0.75],
      ['active', 'status', 0.6],
      ['deleted_at', 'is_deleted', 0.65],
      ['created_at', 'date', 0.65],
      ['created_at', 'start_date', 0.6],
      ['published_at', 'created_at', 0.65],
      ['published_at', 'date', 0.7],
      ['order_date', 'date', 0.8],
      ['order_date', 'created_at', 0.65],
      ['invoice_date', 'date', 0.8],
      ['author', 'user', 0.65],
      ['author', 'created_by', 0.65],
      ['sku', 'code', 0.65],
      ['sku', 'number', 0.65],
      ['image', 'avatar', 0.75],
      ['street2', 'street', 0.3],
      ['customer', 'account', 0.6],
      ['customer', 'user', 0.6],
      ['customer', 'company', 0.6],
      ['employee', 'user', 0.6],
      ['time', 'timestamp', 0.8],
      ['date', 'timestamp', 0.75],
      ['date', 'time', 0.65],
      ['at', 'date', 0.75],
      ['at', 'time', 0.75],
      ['at', 'on', 0.9],
      ['rating', 'value', 0.6],
      ['job_title', 'title', 0.7],
      ['job_title', 'position', 0.75],
    ] as const
  ).flatMap(([a, b, score]) => [
    [`${a} ${b}`, score],
    [`${b} ${a}`, score],
  ]),
)

function wordLikeness(a: string, b: string): number {
  if (a === b) return 1
  const near = NEAR.get(`${a} ${b}`)
  if (near !== undefined) return near
  // Two concepts of the vocabulary that are not the same are different things, however they are spelled.
  const known = PHRASES.has(a) && PHRASES.has(b)
  if (known || a.length < 3 || b.length < 3) return 0
  const [short, long] = a.length <= b.length ? [a, b] : [b, a]
  if (long.startsWith(short)) return short.length >= 3 ? 0.8 : 0
  if (long.startsWith(short[0] ?? '') && isSkeleton(short, long)) return 0.75
  const distance = editDistance(a, b)
  return distance <= Math.floor(long.length / 5) ? 1 - distance / long.length : 0
}

/** `cstmr` of `customer`: the consonants of a word, in their order, from its first to its last. */
function isSkeleton(short: string, long: string): boolean {
  if (short.length > long.length - 2 || /[aeiou]/.test(short.slice(1))) return false
  let at = 0
  for (const letter of long) if (letter === short[at]) at += 1
  return at === short.length
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i]
    for (let j = 1; j <= b.length; j += 1) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}

/** What the columns of one table mean, each in the ways in which its name can be read. */
export function readColumnNames(table: string, columns: readonly string[]): readonly (readonly Meaning[])[] {
  const split = columns.map(splitName)
  const own = new Set(tableMeaning(table))
  const shared = sharedPrefix(split)
  return split.map((words) => {
    const readings = [meaningOf(words)]
    if (shared > 0 && words.length > shared) readings.push(meaningOf(words.slice(shared)))
    const [first] = words
    if (first !== undefined && words.length > 1 && /^(?:is|has|fk|pk|str|int|n|s|b|d|f|c)$/.test(first)) {
      readings.push(meaningOf(words.slice(1)))
    }
    for (const reading of readings.slice()) {
      const rest = reading.filter((word) => !own.has(word))
      if (rest.length > 0 && rest.length < reading.length) readings.push(rest)
    }
    return distinct(readings)
  })
}

function distinct(readings: readonly Meaning[]): readonly Meaning[] {
  return [...new Map(readings.map((reading) => [reading.join(' '), reading])).values()]
}

/** How many words most of the columns begin with alike. */
function sharedPrefix(names: readonly (readonly string[])[]): number {
  if (names.length < 3) return 0
  const counts = Map.groupBy(names, ([first]) => first ?? '')
  const most = [...counts.values()].reduce((best, group) => (group.length > best.length ? group : best), [])
  return most.length >= 3 && most.length >= names.length * 0.6 ? 1 : 0
}

/** What the name of a table means, without the mark of its kind or of its program. */
export function tableMeaning(name: string): Meaning {
  const words = splitName(name).map(singular)
  const bare = words.filter((word, i) => !(i === 0 && words.length > 1 && TABLE_MARKS.has(word)))
  return meaningOf(bare.filter((word) => !TABLE_TAILS.has(word) || bare.length === 1))
}

const TABLE_MARKS = new Set('wp tbl tb t app dim fact stg dbo erp crm sys core mst m v vw auth oc ps'.split(' '))
const TABLE_TAILS = new Set('table tbl data master header mst hdr list record'.split(' '))
