import { z } from 'zod'
import { describeType } from '#model/column-type.ts'
import { RULE_SCHEMAS, type RuleKind } from './rules/rule-document.ts'
import { RULE_EXAMPLES } from './rules/rule-examples.ts'
import { TRANSFORMS } from './transforms/registry.ts'
import { isRefusal, type Transform } from './transforms/transform.ts'

/** The words that field mappings are made of, from the tables that carry them out: for whoever offers a choice of them. */

export interface Argument {
  readonly name: string
  readonly description: string
  readonly required: boolean
  /** JSON Schema of its value. */
  readonly schema: Readonly<Record<string, unknown>>
}

export interface TransformWord {
  readonly name: string
  readonly group: string
  readonly summary: string
  /** One value, or several columns of which it makes one. */
  readonly takes: 'one' | 'many'
  /** The types that it takes, in words. */
  readonly accepts: string
  /** What NULL becomes where it does not stay NULL. */
  readonly nulls: string | null
  readonly arguments: readonly Argument[]
  readonly example: {
    readonly arguments: Readonly<Record<string, unknown>>
    readonly input: readonly (string | null)[]
    readonly output: string | null
    /** The type of the output; null where it depends on more. */
    readonly type: string | null
    /** What is lost for good; null where nothing is. */
    readonly loses: string | null
  }
}

export interface RuleWord {
  readonly name: string
  readonly description: string
  readonly note: string
  /** JSON Schema of what stands beside the name. */
  readonly schema: Readonly<Record<string, unknown>>
  readonly example: unknown
}

export function transformWords(): TransformWord[] {
  return TRANSFORMS.map((transform) => ({
    name: transform.name,
    group: transform.group,
    summary: transform.summary,
    takes: transform.takes,
    accepts: transform.accepts.says,
    nulls: transform.nulls,
    arguments: argumentsOf(transform.args),
    example: exampleOf(transform),
  }))
}

export function ruleWords(): RuleWord[] {
  return (Object.keys(RULE_SCHEMAS) as RuleKind[]).map((name) => {
    const { description, ...rest } = argumentsOf(RULE_SCHEMAS[name])[0]?.schema ?? {}
    const { field: _, on_fail: __, ...example } = RULE_EXAMPLES[name].rule as Readonly<Record<string, unknown>>
    return {
      name,
      description: textIn(description),
      note: RULE_EXAMPLES[name].note,
      schema: rest,
      example: example[name],
    }
  })
}

function argumentsOf(schema: z.ZodObject): Argument[] {
  const { properties = {}, required = [] } = z.toJSONSchema(schema, { io: 'input' })
  return Object.entries(properties).map(([name, one]) => {
    const given: Readonly<Record<string, unknown>> = typeof one === 'object' ? { ...one } : {}
    return { name, description: textIn(given['description']), required: required.includes(name), schema: given }
  })
}

function exampleOf(transform: Transform): TransformWord['example'] {
  const { args, types, input, output } = transform.example
  const parsed = transform.args.parse(args)
  const result = transform.result(types, parsed)
  return {
    arguments: args,
    input: input.map(textOf),
    output: textOf(output),
    type: isRefusal(result) ? null : describeType(result),
    loses: transform.loses(parsed, types),
  }
}

function textIn(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

/** Bytes as the database writes them. */
function textOf(value: Transform['example']['output']): string | null {
  return value instanceof Uint8Array ? `\\x${Buffer.from(value).toString('hex')}` : value
}
