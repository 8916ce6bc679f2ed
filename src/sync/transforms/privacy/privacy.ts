/**
 * Values made unreadable. What is keyed is made with the service's mask key: the same value gives the same mask in every
 * table and run, so that joins still hold, and nobody without the key can try values out.
 */
import { createHash, createHmac } from 'node:crypto'
import { crc32 } from 'node:zlib'

import { z } from 'zod'

import { fail, ofText, type Context, type Transform } from '#sync/transforms/transform.ts'
import {
  BIGINT,
  BYTES,
  day as dayTypes,
  LOCAL,
  maxLength,
  same,
  text,
  TEXT,
  textOrBytes,
  uuid,
  UUID,
} from '#sync/transforms/types.ts'
import { mailParts } from '#sync/transforms/text/contact.ts'
import { charactersOf } from '#sync/transforms/text/characters.ts'
import { readBytes, writeBytes } from '#sync/transforms/text/encode.ts'
import { versioned } from '#sync/transforms/identity/uuids.ts'
import { isInfinite, moved, readMoment, writeMoment } from '#sync/transforms/time/moment.ts'

const MASKED = 'the value'
const NO_WAY_BACK = 'it is made so that there is no way back'

const domain = z.string().max(100).default('').meta({
  description: 'Values of different domains get different masks; columns that are joined have the same.',
})

/** A keyed digest that no other transform gives for the same value. */
function keyed({ maskKey }: Context, purpose: string): (value: string) => Buffer {
  const key = createHmac('sha256', maskKey).update(`syncline mask: ${purpose}`).digest()
  return (value) => createHmac('sha256', key).update(value).digest()
}

const hash = ofText({
  name: 'hash',
  group: 'Privacy',
  summary: 'Takes the digest of text in UTF-8, or of bytes. Short values can be guessed: "token" is keyed.',
  args: z.strictObject({
    algorithm: z
      .enum(['md5', 'sha1', 'sha256', 'sha384', 'sha512', 'sha3-256'])
      .default('sha256')
      .meta({ description: 'The algorithm; md5 and sha1 only to meet what others have.' }),
    as: z.enum(['hex', 'base64', 'bytes']).default('hex').meta({ description: 'How the digest is written.' }),
  }),
  accepts: textOrBytes,
  result: (_types, { as }) => (as === 'bytes' ? BYTES : TEXT),
  loses: MASKED,
  inverse: NO_WAY_BACK,
  example: { args: { algorithm: 'md5' }, input: ['abc'], output: '900150983cd24fb0d6963f7d28e17f72' },
  make: ({ algorithm, as }, _context, [type]) => {
    const isBytes = type?.kind === 'bytes'
    return (value) => {
      const digest = createHash(algorithm).update(isBytes ? readBytes(value) : value)
      return as === 'bytes' ? writeBytes(digest.digest()) : digest.digest(as)
    }
  },
})

const checksum = ofText({
  name: 'crc32',
  group: 'Privacy',
  summary: 'Takes the CRC-32 of text in UTF-8, or of bytes, as a number: a checksum, no protection.',
  args: z.strictObject({}),
  accepts: textOrBytes,
  result: BIGINT,
  loses: MASKED,
  inverse: 'many values have one checksum',
  example: { input: ['123456789'], output: '3421780262' },
  make: (_args, _context, [type]) =>
    type?.kind === 'bytes' ? (value) => String(crc32(readBytes(value))) : (value) => String(crc32(value)),
})

const token = ofText({
  name: 'token',
  group: 'Privacy',
  summary: 'Puts a keyed token in the place of a value: the same for the same value, and no way back without the key.',
  args: z.strictObject({
    length: z.int().min(16).max(43).default(22).meta({ description: 'Characters of the token; 22 hold 128 bits.' }),
    prefix: z.string().max(20).default('').meta({ description: 'Put before it.' }),
    domain,
  }),
  accepts: textOrBytes,
  result: (_types, { length, prefix }) => ({ kind: 'text', maxLength: length + charactersOf(prefix) }),
  loses: MASKED,
  inverse: NO_WAY_BACK,
  example: { args: { prefix: 'cus_' }, input: ['ada@a.example'], output: 'cus_?' },
  make: ({ length, prefix, domain: of }, context) => {
    const digest = keyed(context, `token ${of}`)
    return (value) => prefix + digest(value).toString('base64url').slice(0, length)
  },
})

const maskUuid = ofText({
  name: 'mask_uuid',
  group: 'Privacy',
  summary: 'Puts a keyed UUID (version 8) in the place of a UUID.',
  args: z.strictObject({ domain }),
  accepts: uuid,
  result: UUID,
  loses: MASKED,
  inverse: NO_WAY_BACK,
  example: { types: [UUID], input: ['2ed6657d-e927-568b-95e1-2665a8aea6a2'], output: '?' },
  make: ({ domain: of }, context) => {
    const digest = keyed(context, `uuid ${of}`)
    return (value) => versioned(digest(value), 8)
  },
})

const maskEmail = ofText({
  name: 'mask_email',
  group: 'Privacy',
  summary: 'Puts a keyed name before the @ of a mail address, and keeps or replaces the domain.',
  args: z.strictObject({
    to_domain: z
      .string()
      .regex(/^[a-z0-9.-]{1,253}$/)
      .optional()
      .meta({
        description: 'The domain of all masked addresses; by default each keeps its own.',
        examples: ['example.com'],
      }),
    miss: z
      .enum(['reject', 'null'])
      .default('reject')
      .meta({ description: 'What becomes of text that is no mail address.' }),
    domain,
  }),
  accepts: text,
  result: TEXT,
  loses: MASKED,
  inverse: NO_WAY_BACK,
  example: { args: { to_domain: 'example.com' }, input: ['Ada@a.example'], output: '?@example.com' },
  make: ({ to_domain, miss, domain: of }, context) => {
    const digest = keyed(context, `email ${of}`)
    return (value) => {
      const parts = mailParts(value.trim())
      if (parts === null) return miss === 'null' ? null : fail('the text is no mail address')
      // Mail addresses that differ in case alone are one person's.
      const local = digest(`${parts[0]}@${parts[1]}`.toLowerCase()).toString('hex').slice(0, 16)
      return `${local}@${to_domain ?? parts[1].toLowerCase()}`
    }
  },
})

const ROUNDS = 10

const maskDigits = ofText({
  name: 'mask_digits',
  group: 'Privacy',
  summary: 'Replaces the digits of text by others, keyed; length, signs and letters stay, and no two values meet.',
  args: z.strictObject({
    keep_start: z.int().min(0).max(100).default(0).meta({ description: 'Digits at the start that stay.' }),
    keep_end: z.int().min(0).max(100).default(0).meta({ description: 'Digits at the end that stay.' }),
    domain,
  }),
  accepts: text,
  result: (types) => ({ kind: 'text', maxLength: maxLength(types[0]) }),
  loses: MASKED,
  inverse: NO_WAY_BACK,
  example: { args: { keep_end: 4 }, input: ['4111-1111-1111-1234'], output: '?-1234' },
  make: ({ keep_start, keep_end, domain: of }, context) => {
    const digest = keyed(context, `digits ${of}`)
    return (value) => {
      const digits = value.replace(/[^0-9]/g, '')
      const from = Math.min(keep_start, digits.length)
      const to = Math.max(from, digits.length - keep_end)
      if (from === to) return value
      if (to - from > 200) return fail('there are more than 200 digits')
      const tweak = `${digits.slice(0, from)}/${digits.slice(to)}`
      const masked =
        digits.slice(0, from) +
        permuted(digits.slice(from, to), (part) => digest(`${tweak}/${part}`)) +
        digits.slice(to)
      let at = 0
      return value.replace(/[0-9]/g, () => masked[at++] ?? '')
    }
  },
})

/** A keyed permutation of the digit strings of one length: a Feistel network over both halves. */
function permuted(digits: string, digest: (part: string) => Buffer): string {
  if (digits.length === 1) return permutedDigit(Number(digits), digest)
  const half = Math.floor(digits.length / 2)
  let [left, right] = [digits.slice(0, half), digits.slice(half)]
  for (let round = 0; round < ROUNDS; round += 1) {
    // Numbers of 256 bits are so much larger than the halves, but for long ones, that their digits are even.
    const noise = BigInt(
      `0x${digest(`${round}:${digits.length}:${right}`).toString('hex')}${digest(`+${round}:${digits.length}:${right}`).toString('hex')}`,
    )
    const sum = (BigInt(left) + noise) % 10n ** BigInt(left.length)
    ;[left, right] = [right, String(sum).padStart(left.length, '0')]
  }
  return left + right
}

function permutedDigit(digit: number, digest: (part: string) => Buffer): string {
  const order = Array.from({ length: 10 }, (_, i) => ({ i, by: digest(`single:${i}`).toString('hex') }))
  return String(order.toSorted((a, b) => (a.by < b.by ? -1 : 1)).findIndex(({ i }) => i === digit))
}

const shiftDate = ofText({
  name: 'shift_time',
  group: 'Privacy',
  summary: 'Moves dates and timestamps by a keyed number of days; equal ones by the same.',
  args: z.strictObject({
    days: z.int().min(1).max(10_000).meta({ description: 'By so many days at most, forward or backward.' }),
    domain,
  }),
  accepts: dayTypes,
  result: same,
  loses: 'the exact day',
  inverse: NO_WAY_BACK,
  example: { args: { days: 30 }, types: [{ kind: 'date' }], input: ['1985-12-10'], output: '?' },
  make: ({ days, domain: of }, context, [type = LOCAL]) => {
    const digest = keyed(context, `time ${of}`)
    return (value) => {
      if (isInfinite(value)) return value
      const by = (digest(value).readUIntBE(0, 6) % (2 * days + 1)) - days
      return writeMoment(moved(readMoment(value), BigInt(by) * 86_400_000_000n), type)
    }
  },
})

const redact = ofText({
  name: 'redact',
  group: 'Privacy',
  summary: 'Covers all characters of text but some at the ends.',
  args: z.strictObject({
    keep_start: z.int().min(0).max(1_000).default(0).meta({ description: 'Characters at the start that stay.' }),
    keep_end: z.int().min(0).max(1_000).default(0).meta({ description: 'Characters at the end that stay.' }),
    with: z.string().min(1).max(20).default('*').meta({ description: 'What covers a character.' }),
    length: z
      .int()
      .min(1)
      .max(1_000)
      .optional()
      .meta({ description: 'How often it stands there, to hide the length as well.' }),
  }),
  accepts: text,
  result: TEXT,
  loses: 'the covered characters',
  inverse: NO_WAY_BACK,
  example: { args: { keep_end: 4, length: 4 }, input: ['DE89370400440532013000'], output: '****3000' },
  make:
    ({ keep_start, keep_end, with: cover, length }) =>
    (value) => {
      const all = Array.from(value)
      // Text that is no longer than what stays would stand there whole.
      const shown = all.length > keep_start + keep_end
      const start = shown ? all.slice(0, keep_start).join('') : ''
      const end = shown && keep_end > 0 ? all.slice(-keep_end).join('') : ''
      const covered = shown ? all.length - keep_start - keep_end : all.length
      return start + cover.repeat(length ?? covered) + end
    },
})

const maskIp = ofText({
  name: 'mask_ip',
  group: 'Privacy',
  summary: 'Sets the last bits of an IP address to zero, so that it names a network and no computer.',
  args: z.strictObject({
    v4_bits: z.int().min(0).max(32).default(24).meta({ description: 'Bits of an IPv4 address that stay.' }),
    v6_bits: z.int().min(0).max(128).default(48).meta({ description: 'Bits of an IPv6 address that stay.' }),
  }),
  accepts: text,
  result: TEXT,
  loses: 'the last bits',
  inverse: NO_WAY_BACK,
  example: { input: ['203.0.113.77'], output: '203.0.113.0' },
  make:
    ({ v4_bits, v6_bits }) =>
    (value) => {
      const address = value.trim()
      if (/^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/.test(address)) {
        const bits = address.split('.').reduce((all, part) => (all << 8n) | BigInt(part), 0n)
        const kept = (bits >> BigInt(32 - v4_bits)) << BigInt(32 - v4_bits)
        return [24n, 16n, 8n, 0n].map((shift) => (kept >> shift) & 255n).join('.')
      }
      const host = address.includes(':') ? URL.parse(`http://[${address}]/`)?.hostname : undefined
      if (host === undefined) return fail('the text is no IP address')
      const [before = '', after] = host.slice(1, -1).split('::')
      const groups = (part: string): string[] => (part === '' ? [] : part.split(':'))
      const head = groups(before)
      const tail = groups(after ?? '')
      const whole = [...head, ...Array.from({ length: 8 - head.length - tail.length }, () => '0'), ...tail]
      const bits = whole.reduce((all, part) => (all << 16n) | BigInt(`0x${part}`), 0n)
      const kept = (bits >> BigInt(128 - v6_bits)) << BigInt(128 - v6_bits)
      const parts = Array.from({ length: 8 }, (_, i) => ((kept >> BigInt(112 - 16 * i)) & 0xffffn).toString(16))
      return URL.parse(`http://[${parts.join(':')}]/`)?.hostname.slice(1, -1) ?? null
    },
})

export const PRIVACY: readonly Transform[] = [
  hash,
  checksum,
  token,
  maskUuid,
  maskEmail,
  maskDigits,
  shiftDate,
  redact,
  maskIp,
]
