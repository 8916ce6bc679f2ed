import { expect, test } from 'vitest'
import { z } from 'zod'

import { RULE_SCHEMAS, ruleSchema, type RuleKind } from '#sync/rules/rule-document.ts'
import { RULE_EXAMPLES } from '#sync/rules/rule-examples.ts'

function rulesPage(): string {
  const kinds = Object.keys(RULE_SCHEMAS) as RuleKind[]
  return [
    '# Data rules',
    '',
    'A rule says what the value must be that a field of the target is to get. It stands among the `rules` of a field mapping,',
    'has one kind, and `on_fail`: `warn` counts the row and carries it, `reject` (the default) sets it aside with the reason,',
    '`stop` ends the run. A null keeps every rule but `required` and `expression`. Reasons never hold the value.',
    '',
    'This page is made from the tables in `src/sync/rules`: `npx vitest run test/repo/rules.test.ts -u` writes it anew, and',
    'every example on it is executed by the tests.',
    ...kinds.flatMap((kind) => {
      const { rule, keeps, breaks, reason, note } = RULE_EXAMPLES[kind]
      return [
        '',
        `## ${kind}`,
        '',
        `${RULE_SCHEMAS[kind].shape[kind as never]['description'] as string} ${note}`,
        '',
        '```json',
        JSON.stringify({ ...rule, field: undefined }),
        '```',
        '',
        `- keeps it: ${keeps.map(shown).join(', ')}`,
        `- breaks it: ${shown(breaks)} (${reason})`,
      ]
    }),
    '',
  ].join('\n')
}

function shown(value: unknown): string {
  return value === null ? 'null' : `\`${JSON.stringify(value)}\``
}

test('docs/rules.md says what the tables say', async () => {
  await expect(rulesPage()).toMatchFileSnapshot('../../docs/rules.md')
})

test('the JSON Schema of a rule describes every field', () => {
  const schema = JSON.stringify(z.toJSONSchema(ruleSchema, { io: 'input' }))
  for (const kind of Object.keys(RULE_SCHEMAS))
    expect(schema).toContain(`"${kind}":{"description"`.slice(0, kind.length + 4))
  expect(schema.match(/"description"/g)?.length).toBeGreaterThanOrEqual(3 * Object.keys(RULE_SCHEMAS).length)
})
