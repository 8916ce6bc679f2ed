/** UUIDs made, read and written. */
import { createHash } from 'node:crypto'

import { z } from 'zod'

import { fail, ofMany, ofText, refuse, textOf, type Transform } from '#sync/transforms/transform.ts'
import { anyType, bytes, BYTES, text, TEXT, uuid, UUID, ZONED } from '#sync/transforms/types.ts'
import { momentOf, writeMoment } from '#sync/transforms/time/moment.ts'
import { dashed, readUuid } from './uuid.ts'

const NONE = z.strictObject({})

const NAMESPACES: Readonly<Record<string, string>> = {
  dns: '6ba7b810-9dad-11d1-80b4-00c04fd430c8',
  url: '6ba7b811-9dad-11d1-80b4-00c04fd430c8',
  oid: '6ba7b812-9dad-11d1-80b4-00c04fd430c8',
}

const v5 = ofMany({
  name: 'uuid_v5',
  group: 'UUIDs',
  summary: 'Makes a UUID of several columns, the same whenever the values are the same (RFC 9562, version 5).',
  args: z.strictObject({
    namespace: z
      .union([z.enum(['dns', 'url', 'oid']), z.guid()])
      .meta({ description: 'A UUID of your own, or dns, url, oid.' }),
    separator: z.string().max(10).optional().meta({
      description: 'Joins the values as text; by default each is written with its length, so that no two rows meet.',
    }),
  }),
  accepts: anyType,
  nulls: 'NULL where any is NULL.',
  result: UUID,
  loses: 'the values',
  inverse: 'a digest does not say what it was made of',
  example: {
    args: { namespace: 'dns', separator: '' },
    input: ['www.example.com'],
    output: '2ed6657d-e927-568b-95e1-2665a8aea6a2',
  },
  make: ({ namespace, separator }) => {
    const space = Buffer.from((NAMESPACES[namespace] ?? namespace).replaceAll('-', ''), 'hex')
    return (values) => {
      const parts = values.map(textOf)
      if (parts.includes(null)) return null
      const joined =
        separator === undefined
          ? parts.map((part) => `${Buffer.byteLength(part ?? '')}:${part}`).join('')
          : parts.join(separator)
      const digest = createHash('sha1').update(space).update(joined).digest()
      return versioned(digest, 5)
    }
  },
})

/** The first 16 bytes of a digest as a UUID of a version. */
export function versioned(digest: Buffer, version: number): string {
  digest[6] = ((digest[6] ?? 0) & 0x0f) | (version << 4)
  digest[8] = ((digest[8] ?? 0) & 0x3f) | 0x80
  return dashed(digest.toString('hex', 0, 16))
}

const parse = ofText({
  name: 'parse_uuid',
  group: 'UUIDs',
  summary: 'Reads a UUID in any usual spelling: capitals, braces, urn:uuid:, without dashes.',
  args: z.strictObject({
    miss: z.enum(['reject', 'null']).default('reject').meta({ description: 'What becomes of text that is none.' }),
  }),
  accepts: text,
  result: UUID,
  loses: 'the spelling',
  inverse: 'the former spelling is not kept',
  example: { input: ['{2ED6657DE927568B95E12665A8AEA6A2}'], output: '2ed6657d-e927-568b-95e1-2665a8aea6a2' },
  make:
    ({ miss }) =>
    (value) => {
      const found = readUuid(value)
      return found === null && miss === 'reject' ? fail('the text is no UUID') : found
    },
})

const format = ofText({
  name: 'format_uuid',
  group: 'UUIDs',
  summary: 'Writes a UUID in another spelling.',
  args: z.strictObject({
    style: z
      .enum(['dashed', 'plain', 'braces', 'urn'])
      .default('plain')
      .meta({ description: 'With dashes, without, in braces, or as urn:uuid:.' }),
    upper: z.boolean().default(false).meta({ description: 'In capitals.' }),
  }),
  accepts: uuid,
  result: TEXT,
  loses: null,
  inverse: () => ({ name: 'parse_uuid', args: {} }),
  example: {
    types: [UUID],
    input: ['2ed6657d-e927-568b-95e1-2665a8aea6a2'],
    output: '2ed6657de927568b95e12665a8aea6a2',
  },
  make:
    ({ style, upper }) =>
    (value) => {
      const cased = upper ? value.toUpperCase() : value
      return { dashed: cased, plain: cased.replaceAll('-', ''), braces: `{${cased}}`, urn: `urn:uuid:${cased}` }[style]
    },
})

const toBytes = ofText({
  name: 'uuid_to_bytes',
  group: 'UUIDs',
  summary: 'Writes a UUID as 16 bytes, as MySQL keeps them in binary(16).',
  args: z.strictObject({
    swap: z.boolean().default(false).meta({ description: 'Puts the time of version 1 first, as UUID_TO_BIN(x, 1).' }),
  }),
  accepts: uuid,
  result: BYTES,
  loses: null,
  inverse: ({ swap }) => ({ name: 'bytes_to_uuid', args: { swap } }),
  example: {
    args: { swap: true },
    types: [UUID],
    input: ['6ccd780c-baba-1026-9564-5b8c656024db'],
    output: '\\x1026baba6ccd780c95645b8c656024db',
  },
  make:
    ({ swap }) =>
    (value) => {
      const d = value.replaceAll('-', '')
      return `\\x${swap ? d.slice(12, 16) + d.slice(8, 12) + d.slice(0, 8) + d.slice(16) : d}`
    },
})

const fromBytes = ofText({
  name: 'bytes_to_uuid',
  group: 'UUIDs',
  summary: 'Reads 16 bytes as a UUID.',
  args: z.strictObject({
    swap: z
      .boolean()
      .default(false)
      .meta({ description: 'The time of version 1 comes first, as UUID_TO_BIN(x, 1) has it.' }),
  }),
  accepts: bytes,
  result: UUID,
  loses: null,
  inverse: ({ swap }) => ({ name: 'uuid_to_bytes', args: { swap } }),
  example: {
    types: [BYTES],
    input: ['\\x2ed6657de927568b95e12665a8aea6a2'],
    output: '2ed6657d-e927-568b-95e1-2665a8aea6a2',
  },
  make:
    ({ swap }) =>
    (value) => {
      if (!/^\\x[\da-f]{32}$/.test(value)) return fail('a UUID has 16 bytes')
      const d = value.slice(2)
      return dashed(swap ? d.slice(8, 16) + d.slice(4, 8) + d.slice(0, 4) + d.slice(16) : d)
    },
})

const time = ofText({
  name: 'uuid_time',
  group: 'UUIDs',
  summary: 'Takes the moment at which a UUID of version 7 was made; NULL for other versions.',
  args: NONE,
  accepts: uuid,
  result: ZONED,
  loses: 'the rest of the UUID',
  inverse: () => refuse('the rest is not kept'),
  example: { types: [UUID], input: ['01890a5d-ac96-774b-bcce-b302099a8057'], output: '2023-06-30 03:34:18.518+00' },
  make: () => (value) => {
    if (value[14] !== '7') return null
    return writeMoment(momentOf(BigInt(`0x${value.slice(0, 8)}${value.slice(9, 13)}`) * 1000n), ZONED)
  },
})

export const UUIDS: readonly Transform[] = [v5, parse, format, toBytes, fromBytes, time]
