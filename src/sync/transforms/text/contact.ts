/** What people type into forms, in one spelling: mail addresses, telephone numbers, URLs, IP addresses. */
import { domainToASCII } from 'node:url'

import { z } from 'zod'

import { fail, ofText, type Transform } from '#sync/transforms/transform.ts'
import { text, TEXT } from '#sync/transforms/types.ts'

const MISS = z
  .enum(['reject', 'null', 'keep'])
  .default('reject')
  .meta({ description: 'What becomes of text that is none.' })

function missed(miss: 'reject' | 'null' | 'keep', value: string, reason: string): string | null {
  return miss === 'keep' ? value : miss === 'null' ? null : fail(reason)
}

/** The local part and the domain of a plain mail address; null where it is none. */
export function mailParts(value: string): readonly [local: string, domain: string] | null {
  const at = value.lastIndexOf('@')
  const local = value.slice(0, at)
  const domain = value.slice(at + 1)
  if (at < 1 || value.length > 320 || !/^[^\s"(),:;<>@[\\\]]+$/u.test(local)) return null
  return /^[^\s@.]+(?:\.[^\s@.]+)+$/u.test(domain) ? [local, domain] : null
}

const email = ofText({
  name: 'normalize_email',
  group: 'Text',
  summary: 'Brings a mail address into one spelling: trimmed, the domain small and in ASCII.',
  args: z.strictObject({
    lower_local: z.boolean().default(true).meta({ description: 'Also writes the part before the @ small.' }),
    drop_tag: z.boolean().default(false).meta({ description: 'Drops +tag before the @.' }),
    miss: MISS,
  }),
  accepts: text,
  result: TEXT,
  loses: ({ drop_tag }) => (drop_tag ? 'case, spaces and the tag' : 'case and spaces'),
  inverse: 'the former spelling is not kept',
  example: { input: [' Ada.Lovelace@Bücher.EXAMPLE '], output: 'ada.lovelace@xn--bcher-kva.example' },
  make:
    ({ lower_local, drop_tag, miss }) =>
    (value) => {
      const parts = mailParts(value.trim())
      const domain = domainToASCII(parts?.[1] ?? '')
      if (parts === null || domain === '') return missed(miss, value, 'the text is no mail address')
      const tagged = lower_local ? parts[0].toLowerCase() : parts[0]
      const plus = drop_tag ? tagged.indexOf('+') : -1
      return `${plus > 0 ? tagged.slice(0, plus) : tagged}@${domain}`
    },
})

const phone = ofText({
  name: 'normalize_phone',
  group: 'Text',
  summary: 'Brings a telephone number into the international spelling +4930123456 (E.164).',
  args: z.strictObject({
    country_code: z
      .string()
      .regex(/^[1-9]\d{0,2}$/)
      .meta({ description: 'Put before numbers that have none.', examples: ['49'] }),
    trunk_prefix: z
      .string()
      .regex(/^\d{0,2}$/)
      .default('0')
      .meta({ description: 'What national numbers begin with, and international ones do not.' }),
    international_prefix: z
      .string()
      .regex(/^\d{2,4}$/)
      .default('00')
      .meta({ description: 'What stands for the +.' }),
    miss: MISS,
  }),
  accepts: text,
  result: TEXT,
  loses: 'spaces, brackets and extensions in the spelling',
  inverse: 'the former spelling is not kept',
  example: { args: { country_code: '49' }, input: ['(030) 901820-0'], output: '+49309018200' },
  make:
    ({ country_code, trunk_prefix, international_prefix, miss }) =>
    (value) => {
      const written = value.trim()
      const bare = written.replace(/[\s().\-/\u00a0\u2010-\u2015]+/g, '')
      const digits = bare.startsWith('+') ? bare.slice(1).replace(/^(\d+)$/, '$1') : bare
      if (!/^\d{3,20}$/.test(digits)) return missed(miss, value, 'the text is no telephone number')
      const own = (): string =>
        country_code +
        (trunk_prefix !== '' && digits.startsWith(trunk_prefix) ? digits.slice(trunk_prefix.length) : digits)
      // "+49 (0) 30" writes the trunk prefix in brackets.
      const dropped = /^\+\d{1,3}[\s.-]*\(0\)/.test(written)
        ? digits.replace(new RegExp(`^(${country_code})0`), '$1')
        : digits
      const whole = bare.startsWith('+')
        ? dropped
        : digits.startsWith(international_prefix)
          ? digits.slice(international_prefix.length)
          : own()
      return /^[1-9]\d{5,14}$/.test(whole) ? `+${whole}` : missed(miss, value, 'the text is no telephone number')
    },
})

const TRACKING = /^(?:utm_\w+|fbclid|gclid|msclkid|mc_eid|igshid)$/i

const url = ofText({
  name: 'normalize_url',
  group: 'Text',
  summary: 'Brings an http or https URL into one spelling: host small and in ASCII, no default port, no dot segments.',
  args: z.strictObject({
    default_scheme: z.enum(['https', 'http']).optional().meta({ description: 'Put before text that has none.' }),
    drop_fragment: z.boolean().default(false).meta({ description: 'Drops # and what follows.' }),
    drop_tracking: z.boolean().default(false).meta({ description: 'Drops utm_… and click ids from the query.' }),
    sort_query: z.boolean().default(false).meta({ description: 'Sorts the parameters by name.' }),
    miss: MISS,
  }),
  accepts: text,
  result: TEXT,
  loses: 'the former spelling, and what is dropped',
  inverse: 'the former spelling is not kept',
  example: {
    args: { default_scheme: 'https', drop_tracking: true },
    input: ['Bücher.Example:443/a/../b?id=7&utm_source=x'],
    output: 'https://xn--bcher-kva.example/b?id=7',
  },
  make: (args) => (value) => {
    const given = value.trim()
    const hasScheme = /^https?:\/\//i.test(given)
    const whole = hasScheme || args.default_scheme === undefined ? given : `${args.default_scheme}://${given}`
    const parsed = /^https?:\/\//i.test(whole) ? URL.parse(whole) : null
    if (parsed === null) return missed(args.miss, value, 'the text is no URL of http or https')
    if (args.drop_fragment) parsed.hash = ''
    if (args.drop_tracking && parsed.search !== '') {
      const kept = parsed.search
        .slice(1)
        .split('&')
        .filter((pair) => !TRACKING.test(pair.split('=')[0] ?? ''))
      parsed.search = kept.join('&')
    }
    if (args.sort_query) parsed.searchParams.sort()
    return parsed.href
  },
})

const urlPart = ofText({
  name: 'url_part',
  group: 'Text',
  summary: 'Takes the host, the path, a parameter or another part of a URL; NULL where it has none.',
  args: z
    .strictObject({
      part: z.enum(['scheme', 'host', 'port', 'path', 'query', 'fragment', 'parameter', 'file']).meta({
        description: 'Which part; `file` is the last piece of the path, decoded.',
      }),
      parameter: z.string().max(200).optional().meta({ description: 'Name of the parameter, with part: parameter.' }),
    })
    .refine(({ part, parameter }) => (part === 'parameter') === (parameter !== undefined), {
      error: '"parameter" goes with part: parameter, and only with it.',
    }),
  accepts: text,
  result: TEXT,
  loses: 'the other parts',
  inverse: 'the other parts are not kept',
  example: {
    args: { part: 'parameter', parameter: 'q' },
    input: ['https://a.example/find?q=b%C3%BCcher'],
    output: 'bücher',
  },
  make:
    ({ part, parameter }) =>
    (value) => {
      const parsed = URL.parse(value) ?? fail('the text is no URL')
      if (part === 'parameter') return parsed.searchParams.get(parameter ?? '')
      if (part === 'file') return decodePath(parsed.pathname.slice(parsed.pathname.lastIndexOf('/') + 1)) || null
      const found = {
        scheme: parsed.protocol.slice(0, -1),
        host: parsed.hostname,
        port: parsed.port,
        path: parsed.pathname,
        query: parsed.search.slice(1),
        fragment: parsed.hash.slice(1),
      }[part]
      return found === '' ? null : found
    },
})

function decodePath(piece: string): string {
  try {
    return decodeURIComponent(piece)
  } catch {
    return fail('the path is not valid UTF-8')
  }
}

export const CONTACT: readonly Transform[] = [email, phone, url, urlPart]
