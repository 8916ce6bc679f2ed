import { z } from 'zod'
import type { ConfigPolicies } from '#model/config-document.ts'
import { StepDocument } from './transforms/step-schema.ts'

/** Something in a document that no schema of its shape can see. */
export interface DocumentProblem {
  readonly path: readonly PropertyKey[]
  readonly message: string
}

/**
 * What is wrong with the steps of a document's field mappings, whatever the tables look like: names that nothing has, and
 * arguments that a step does not take.
 */
export function checkDocument({ tables = [] }: ConfigPolicies): DocumentProblem[] {
  const problems: DocumentProblem[] = []
  for (const [t, { field_mappings: fields = [] }] of tables.entries()) {
    for (const [f, { transforms = [] }] of fields.entries()) {
      for (const [s, step] of transforms.entries()) {
        const path = ['tables', t, 'field_mappings', f, 'transforms', s]
        const issues = StepDocument.safeParse(step).error?.issues ?? []
        problems.push(...issues.map((issue) => ({ path: [...path, ...issue.path], message: issue.message })))
      }
    }
  }
  return problems
}

/** JSON Schema of the parts that `checkDocument` checks, by their names in the schema of a document. */
export function stepSchemas(): Readonly<Record<string, z.core.JSONSchema.BaseSchema>> {
  const { $schema: _, ...TransformStep } = z.toJSONSchema(StepDocument, { io: 'input' })
  return { TransformStep }
}
