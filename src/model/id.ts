/** Ids of our own things: a prefix that says what it is, then 26 characters of Crockford's base 32, in order of time. */

export const ID_PREFIXES = {
  datasource: 'ds',
  'sync config': 'cfg',
  job: 'job',
  'api key': 'key',
  session: 'ses',
  rejection: 'rej',
  conflict: 'cfl',
  'conflict rule': 'rul',
  'webhook message': 'msg',
  'webhook secret': 'whk',
  dump: 'dmp',
} as const

export type IdKind = keyof typeof ID_PREFIXES

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz'
const TIME_CHARACTERS = 10
const RANDOM_CHARACTERS = 16

/** An id by the layout of ULID: 48 bits of milliseconds, then 80 random bits (10 bytes are used). */
export function makeId(kind: IdKind, wallMs: number, random: Uint8Array): string {
  let time = BigInt(wallMs)
  let chance = random.subarray(0, 10).reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n)
  const characters: string[] = []
  for (let i = 0; i < RANDOM_CHARACTERS; i++, chance >>= 5n) characters.push(ALPHABET[Number(chance & 31n)] ?? '')
  for (let i = 0; i < TIME_CHARACTERS; i++, time >>= 5n) characters.push(ALPHABET[Number(time & 31n)] ?? '')
  return `${ID_PREFIXES[kind]}_${characters.toReversed().join('')}`
}

/** Whether a text has the form of an id of this kind. */
export function isId(kind: IdKind, text: string): boolean {
  return new RegExp(`^${ID_PREFIXES[kind]}_[${ALPHABET}]{26}$`, 'u').test(text)
}

/** Whether a text has the form of an id of any kind. */
export function isAnyId(text: string): boolean {
  return (Object.keys(ID_PREFIXES) as IdKind[]).some((kind) => isId(kind, text))
}
