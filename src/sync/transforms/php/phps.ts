/** Serialized PHP, as WordPress keeps options and meta. */
import { z } from 'zod'

import type { Value } from '#model/value.ts'

import { fail, ofText, ofValue, refuse, type Transform } from '#sync/transforms/transform.ts'
import { BYTES, json, JSON_TEXT, JSONB, textOrBytes, TEXT } from '#sync/transforms/types.ts'
import { readJson, writeJson } from '#sync/transforms/json/tree.ts'
import { checkedText, readBytes, writeBytes } from '#sync/transforms/text/encode.ts'
import { readPhp, writePhp } from './codec.ts'
import { jsonToPhp, phpToJson } from './json.ts'

const unserialize = ofValue({
  name: 'php_unserialize',
  group: 'PHP',
  summary: 'Reads the output of serialize() of PHP as JSON. Objects are described, never made.',
  args: z.strictObject({
    form: z.enum(['wrapped', 'plain']).default('wrapped').meta({
      description:
        'Wrapped keeps every byte: what JSON lacks stands in {"$php": […]}. Plain rejects what JSON lacks, and takes floats as numbers.',
    }),
    other: z
      .enum(['reject', 'text'])
      .default('reject')
      .meta({ description: 'What becomes of text that is not serialized: rejected, or a text of JSON.' }),
  }),
  accepts: textOrBytes,
  result: JSON_TEXT,
  loses: ({ form, other }) =>
    form === 'plain' ? 'how floats were written' : other === 'text' ? 'whether text was serialized' : null,
  inverse: ({ form, other }, [type]) =>
    form === 'plain' || other === 'text'
      ? refuse('only "form: wrapped" with "other: reject" keeps every byte')
      : { name: 'php_serialize', args: { to: type?.kind === 'bytes' ? 'bytes' : 'text' } },
  example: {
    input: [
      'a:2:{s:5:"title";s:6:"Größe";s:5:"sizes";a:2:{i:0;i:10;i:1;d:0.5;}}'.replace('s:6:"Größe"', 's:7:"Größe"'),
    ],
    output: '{"title": "Größe", "sizes": [10, {"$php": ["float", "0.5"]}]}',
  },
  make: ({ form, other }, _context, [type]) => {
    const isBytes = type?.kind === 'bytes'
    const wrapped = form === 'wrapped'
    return (value: Value) => {
      if (value === null) return null
      const bytes = typeof value !== 'string' ? Buffer.from(value) : isBytes ? readBytes(value) : Buffer.from(value)
      if (other === 'text' && typeof value === 'string' && !/^(?:N;|[bidsaOCERr]:)/.test(value))
        return writeJson(value, false)
      return writeJson(phpToJson(readPhp(bytes.toString('latin1')), wrapped), false)
    }
  },
})

const serialize = ofText({
  name: 'php_serialize',
  group: 'PHP',
  summary: 'Writes JSON as serialize() of PHP does: objects become arrays with keys, {"$php": […]} what it stands for.',
  args: z.strictObject({
    to: z
      .enum(['text', 'bytes'])
      .default('text')
      .meta({ description: 'Text must be valid UTF-8; bytes hold anything.' }),
  }),
  accepts: json,
  result: (_types, { to }) => (to === 'text' ? TEXT : BYTES),
  loses: null,
  inverse: 'PHP keeps neither the spaces of JSON nor keys such as "7" as text',
  example: {
    types: [JSONB],
    input: ['{"on": true, "ids": [7, 8]}'],
    output: 'a:2:{s:2:"on";b:1;s:3:"ids";a:2:{i:0;i:7;i:1;i:8;}}',
  },
  make:
    ({ to }) =>
    (value) => {
      const bytes = Buffer.from(writePhp(jsonToPhp(readJson(value))), 'latin1')
      if (to === 'bytes') return writeBytes(bytes)
      return bytes.includes(0)
        ? fail('the serialized value holds a zero byte: give it as bytes')
        : checkedText(decode(bytes))
    },
})

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return fail('the serialized value is no UTF-8: give it as bytes')
  }
}

export const PHP: readonly Transform[] = [unserialize, serialize]
