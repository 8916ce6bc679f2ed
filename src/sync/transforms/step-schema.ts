/** A chain as documents write it: each step a name, or one name with its arguments. */
import { z } from 'zod'

import { findTransform, nearestName, TRANSFORMS } from '#sync/transforms/registry.ts'
import type { Step } from '#sync/transforms/transform.ts'

/** `trim`, or `{ truncate: { length: 40 } }`. */
export type StepDocument = string | Readonly<Record<string, Readonly<Record<string, unknown>>>>

/** The step that a document names; one that is no step at all has no name. */
export function toStep(document: StepDocument): Step {
  if (typeof document === 'string') return { name: document, args: {} }
  const [name = '', args = {}] = Object.entries(document)[0] ?? []
  return { name, args }
}

/** The shortest way to write a step. */
export function toDocument({ name, args }: Step): StepDocument {
  return isRecord(args) && Object.keys(args).length > 0 ? { [name]: args } : name
}

const SHAPE = 'A step is the name of a transform, or one name with its arguments: { truncate: { length: 40 } }.'

function check(document: unknown, context: z.RefinementCtx): void {
  const complain = (message: string, path: PropertyKey[] = []): void =>
    context.addIssue({ code: 'custom', message, path })
  if (typeof document !== 'string' && !(isRecord(document) && Object.keys(document).length === 1)) {
    complain(SHAPE)
    return
  }
  const { name, args } = typeof document === 'string' ? { name: document, args: {} } : oneOf(document)
  const transform = findTransform(name)
  if (transform === null) {
    const nearest = nearestName(name)
    complain(`There is no transform "${name}"${nearest === null ? '' : `; did you mean "${nearest}"?`}`)
    return
  }
  const parsed = transform.args.safeParse(args)
  const below = typeof document === 'string' ? [] : [name]
  for (const issue of parsed.error?.issues ?? []) complain(`${name}: ${issue.message}`, [...below, ...issue.path])
}

function oneOf(document: Readonly<Record<string, unknown>>): { readonly name: string; readonly args: unknown } {
  const [name = '', args] = Object.entries(document)[0] ?? []
  return { name, args }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** What editors complete by: every name with what it does, and its arguments with what they are. */
function choices(): z.core.JSONSchema.BaseSchema[] {
  return TRANSFORMS.flatMap(({ name, summary, args }) => {
    const { $schema: _, ...schema } = z.toJSONSchema(args, { io: 'input' })
    const description = schema.description ?? summary
    const long = {
      type: 'object' as const,
      description: summary,
      properties: { [name]: { ...schema, description } },
      required: [name],
      additionalProperties: false,
    }
    const alone = args.safeParse({}).success
    return alone ? [{ const: name, description: summary }, long] : [long]
  })
}

/** One step. Checked against the arguments of its transform; whether it fits the columns, `compileChain` says. */
export const StepDocument = z.unknown().superRefine(check).meta({ description: SHAPE, anyOf: choices() }) as z.ZodType<
  StepDocument,
  StepDocument
>

/** A chain of steps, in the order in which they work. */
export const ChainDocument = z
  .array(StepDocument)
  .max(50)
  .meta({ description: 'Transforms, from the column to the target, one after the other.' })
