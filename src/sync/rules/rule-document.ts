import { z } from 'zod'

/** The rules of a field as a document says them. Each has one kind, and what happens to a row that breaks it. */

const onFail = z
  .enum(['warn', 'reject', 'stop'])
  .default('reject')
  .describe(
    'What happens to a row that breaks the rule: warn counts it and goes on, reject sets it aside, stop ends the run.',
  )

const field = z.string().min(1).describe('The column of the row that the rule is about.')

const bound = z
  .union([z.string(), z.number()])
  .describe('A bound, written as the column writes it; a number beyond 2^53 as a text.')

export const TYPE_NAMES = ['integer', 'number', 'boolean', 'date', 'timestamp', 'uuid', 'json', 'email', 'url'] as const

/** What a rule asks, by its kind. */
export const RULE_SCHEMAS = {
  required: z.object({ required: z.literal(true).describe('The value is not null.') }),
  type: z.object({ type: z.enum(TYPE_NAMES).describe('The text of the value can be read as one of this type.') }),
  range: z.object({
    range: z
      .object({ min: bound.optional(), max: bound.optional() })
      .refine(({ min, max }) => min !== undefined || max !== undefined, 'give min, max or both')
      .describe('The value lies between min and max, both included, in the order of the column’s type.'),
  }),
  length: z.object({
    length: z
      .object({ min: z.int().min(0).optional(), max: z.int().min(0).optional() })
      .refine(({ min, max }) => min !== undefined || max !== undefined, 'give min, max or both')
      .describe('The text has this many code points, the bytes this many bytes.'),
  }),
  pattern: z.object({
    pattern: z
      .string()
      .max(1_000)
      .describe(
        'The text matches the regular expression anywhere; ^ and $ bind it. No back references, no looking around.',
      ),
  }),
  one_of: z.object({ one_of: z.array(z.string()).min(1).max(10_000).describe('The value is one of these texts.') }),
  unique: z.object({
    unique: z.literal(true).describe('No other row of the source has the value.'),
  }),
  reference: z.object({
    reference: z
      .object({ table: z.string().min(1), column: z.string().min(1) })
      .describe('The value is in a column of another table, as it was when the run began.'),
  }),
  expression: z.object({
    expression: z.string().min(1).max(4_000).describe('A condition over the row is true; null counts as false.'),
  }),
} as const

export type RuleKind = keyof typeof RULE_SCHEMAS

const common = { field, on_fail: onFail }

/** One rule, e.g. `{ field: "age", range: { min: 0, max: 130 }, on_fail: "warn" }`. */
export const ruleSchema = z
  .union([
    RULE_SCHEMAS.required.extend(common).strict(),
    RULE_SCHEMAS.type.extend(common).strict(),
    RULE_SCHEMAS.range.extend(common).strict(),
    RULE_SCHEMAS.length.extend(common).strict(),
    RULE_SCHEMAS.pattern.extend(common).strict(),
    RULE_SCHEMAS.one_of.extend(common).strict(),
    RULE_SCHEMAS.unique.extend(common).strict(),
    RULE_SCHEMAS.reference.extend(common).strict(),
    RULE_SCHEMAS.expression.extend(common).strict(),
  ])
  .describe('A rule for the data of a field, of one kind.')

export type Rule = z.output<typeof ruleSchema>
export type OnFail = Rule['on_fail']

/** The kind of a rule. */
export function kindOf(rule: Rule): RuleKind {
  const kinds = Object.keys(RULE_SCHEMAS) as RuleKind[]
  const kind = kinds.find((candidate) => candidate in rule)
  if (kind === undefined) throw new TypeError('A rule that was checked has a kind.')
  return kind
}
