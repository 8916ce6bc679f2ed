import { z } from 'zod'
import type { FieldMapping, FieldSource, RuleStep, TransformStep } from './field-mapping.ts'

/**
 * How a field of the target is written in a document. What transforms and rules there are, and what they take, is said by
 * `sync/transforms` and `sync/rules`: here a step is a name, or a name with its arguments.
 */

const column = z.string().min(1).max(200).meta({ description: 'A column as the catalogue stores its name.' })

/** One schema with a name, so that descriptions of the API can refer to it. */
const JsonValue: z.ZodType<z.core.util.JSONType> = z
  .lazy(() =>
    z.union([z.string(), z.number(), z.boolean(), z.null(), z.array(JsonValue), z.record(z.string(), JsonValue)]),
  )
  .meta({ id: 'JsonValue', description: 'Anything that JSON can say.' })

const args = z.record(z.string().max(100), JsonValue)

/** `trim`, or `{ truncate: { length: 40 } }`. */
export const TransformStepDocument = z
  .union([z.string().min(1).max(100), z.record(z.string().min(1).max(100), args)])
  .superRefine((step, context) => {
    if (typeof step === 'string' || Object.keys(step).length === 1) return
    context.addIssue({ code: 'custom', message: 'A transform is its name, or one name with its arguments below it.' })
  })
  .meta({ id: 'TransformStep', description: 'A named transform: see docs/transforms.md.' })

const ON_FAIL = z
  .enum(['warn', 'reject', 'stop'])
  .meta({ description: 'What becomes of a row that breaks the rule. Default reject.' })

/** `{ range: { min: 0 }, on_fail: warn }`, or `required`. */
const Rule = z
  .union([z.string().min(1).max(100), z.record(z.string().min(1).max(100), JsonValue)])
  .superRefine((rule, context) => {
    if (typeof rule === 'string') return
    const names = Object.keys(rule).filter((name) => name !== 'on_fail')
    if (names.length !== 1) {
      context.addIssue({
        code: 'custom',
        message: 'A rule is its name, or one name with what it asks for, and on_fail.',
      })
    }
    const parsed = ON_FAIL.optional().safeParse(rule['on_fail'])
    if (!parsed.success)
      context.addIssue({ code: 'custom', path: ['on_fail'], message: 'on_fail is warn, reject or stop.' })
  })
  .meta({ id: 'RuleStep', description: 'A data rule: see docs/rules.md.' })

const SOURCES = ['column', 'columns', 'constant', 'expression', 'code'] as const

export const FieldDocument = z
  .strictObject({
    target: z.string().min(1).max(200).meta({ description: 'The column of the target.' }),
    column: column.optional().meta({ description: 'The column of the source that it comes from.' }),
    columns: z
      .array(column)
      .min(2)
      .max(100)
      .optional()
      .meta({ description: 'Several columns, of which the first transform makes one value.' }),
    constant: z
      .union([z.string().max(100_000), z.int(), z.boolean(), z.null()])
      .optional()
      .meta({ description: 'The same value in every row. A number with decimals is written as a text.' }),
    expression: z
      .string()
      .min(1)
      .max(4_000)
      .optional()
      .meta({ description: 'A CEL expression over the columns of the source: see docs/expressions.md.' }),
    code: z
      .string()
      .min(1)
      .max(100_000)
      .optional()
      .meta({ description: 'The body of a JavaScript function of `row`, run in a sandbox; it returns the value.' }),
    transforms: z
      .array(TransformStepDocument)
      .max(50)
      .optional()
      .meta({ description: 'What happens to the value, the first step first.' }),
    rules: z.array(Rule).max(50).optional().meta({ description: 'What the value that arrives must satisfy.' }),
  })
  .superRefine((field, context) => {
    const given = SOURCES.filter((name) => field[name] !== undefined)
    if (given.length === 1) return
    const message =
      given.length === 0
        ? `A field comes from one of ${SOURCES.join(', ')}.`
        : `A field comes from one thing: not from ${given.join(' and ')} at once.`
    context.addIssue({ code: 'custom', message })
  })
  .meta({ id: 'FieldMapping', description: 'Where one column of the target comes from.' })

export type FieldDocument = z.infer<typeof FieldDocument>

export function toFieldMapping(field: FieldDocument): FieldMapping {
  return {
    target: field.target,
    from: toSource(field),
    transforms: (field.transforms ?? []).map(toStep),
    rules: (field.rules ?? []).map(toRule),
  }
}

function toSource({ column: one, columns, constant, expression, code }: FieldDocument): FieldSource {
  if (expression !== undefined) return { kind: 'expression', text: expression }
  if (code !== undefined) return { kind: 'code', text: code }
  if (columns !== undefined) return { kind: 'columns', columns }
  if (one !== undefined) return { kind: 'columns', columns: [one] }
  return { kind: 'constant', value: constant === null || constant === undefined ? null : String(constant) }
}

export function toStep(step: z.infer<typeof TransformStepDocument>): TransformStep {
  if (typeof step === 'string') return { name: step, args: {} }
  const [name = '', given = {}] = Object.entries(step)[0] ?? []
  return { name, args: given }
}

/** The shortest way to write a step. What came as JSON goes as JSON. */
export function fromStep({ name, args: given }: TransformStep): z.infer<typeof TransformStepDocument> {
  return Object.keys(given).length === 0 ? name : { [name]: args.parse(given) }
}

function toRule(rule: z.infer<typeof Rule>): RuleStep {
  if (typeof rule === 'string') return { name: rule, args: true, onFail: 'reject' }
  const { on_fail: onFail, ...rest } = rule
  const [name = '', args = true] = Object.entries(rest)[0] ?? []
  return { name, args, onFail: ON_FAIL.catch('reject').parse(onFail) }
}
