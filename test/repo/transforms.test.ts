import { expect, test } from 'vitest'
import { z } from 'zod'

import { describeType } from '#model/column-type.ts'
import { TRANSFORMS } from '#sync/transforms/registry.ts'
import { GROUPS, isRefusal, type Transform } from '#sync/transforms/transform.ts'

/** The page of the transforms, as their table says. */
function transformsPage(): string {
  return [
    '# Transforms',
    '',
    'A transform changes a value on its way to the target. A field names a chain of them; each step is a name, or one name',
    'with its arguments:',
    '',
    '```yaml',
    'transforms:',
    '  - trim',
    '  - truncate: { length: 40, ellipsis: … }',
    '```',
    '',
    'They are pure: equal values give equal results, in every time zone and locale. A value that cannot be carried is',
    'rejected with its reason, never changed silently; what a step loses by its nature is its *loss*, which a plan shows.',
    'A step has an *inverse* where another step gives every value back; what depends on arguments and types is told of the',
    'example. NULL stays NULL where nothing else is said. Values are in the canonical text of their types: `t` and `f`,',
    '`2025-07-04 18:05:00+00`, `{a,"b c"}`, `\\x00ff`. A `?` in an example stands for what depends on the mask key.',
    '',
    'This page is made from the table `src/sync/transforms/registry.ts`:',
    '`npx vitest run test/repo/transforms.test.ts -u` writes it anew.',
    ...GROUPS.flatMap((group) => [
      '',
      `## ${group}`,
      ...TRANSFORMS.filter((transform) => transform.group === group).flatMap(section),
    ]),
    '',
  ].join('\n')
}

function section(transform: Transform): string[] {
  const { name, summary, args, accepts, takes, nulls, example } = transform
  const parsed = args.parse(example.args)
  const result = transform.result(example.types, parsed)
  const inverse = transform.inverse(parsed, example.types)
  const fields = z.toJSONSchema(args, { io: 'input' }).properties ?? {}
  return [
    '',
    `### ${name}`,
    '',
    summary,
    '',
    ...Object.entries(fields).map(([field, schema]) => `- \`${field}\`${defaultOf(schema)}: ${descriptionOf(schema)}`),
    `- Takes: ${takes === 'many' ? `several columns, each ${accepts.says}` : accepts.says}`,
    `- Example: ${exampleOf(transform)}${isRefusal(result) ? '' : ` (${describeType(result)})`}`,
    `- NULL: ${nulls ?? 'Stays NULL.'}`,
    `- Loss: ${transform.loses(parsed, example.types) ?? 'none'}`,
    `- Inverse: ${isRefusal(inverse) ? `none: ${inverse.refused}` : code(stepText(inverse.name, inverse.args))}`,
  ]
}

function exampleOf({ name, example }: Transform): string {
  const input = example.input.map((value) => code(valueText(value))).join(', ')
  return `${code(stepText(name, example.args))} makes ${input} ${code(valueText(example.output))}`
}

function stepText(name: string, args: unknown): string {
  const text = JSON.stringify(args)
  return text === '{}' ? name : `${name}: ${text}`
}

function valueText(value: unknown): string {
  return value === null
    ? 'NULL'
    : typeof value === 'string' &&
        /^[\x21-\uffff](?:[\x20-\uffff]*[\x21-\uffff])?$/.test(value) &&
        !/[\u200b\ufeff]/.test(value)
      ? value
      : JSON.stringify(value).replace(
          /[\u007f-\u00a0\u200b\ufeff]/g,
          (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`,
        )
}

/** Text as code, whatever ticks it holds. */
function code(text: string): string {
  return text.includes('`') ? `\`\` ${text} \`\`` : `\`${text}\``
}

function defaultOf(schema: unknown): string {
  if (typeof schema !== 'object' || schema === null || !('default' in schema)) return ''
  return ` (default \`${JSON.stringify(schema.default)}\`)`
}

function descriptionOf(schema: unknown): string {
  if (typeof schema !== 'object' || schema === null) return ''
  const description = 'description' in schema ? String(schema.description) : ''
  const choices =
    'enum' in schema && Array.isArray(schema.enum)
      ? ` One of ${schema.enum.map((one) => `\`${one}\``).join(', ')}.`
      : ''
  return description + choices
}

test('docs/transforms.md says what the table says', async () => {
  await expect(transformsPage()).toMatchFileSnapshot('../../docs/transforms.md')
})
