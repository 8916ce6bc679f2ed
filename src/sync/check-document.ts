import { z } from 'zod'
import type { ConfigPolicies } from '#model/config-document.ts'
import { StepDocument } from './transforms/step-schema.ts'

/** Something in a document that no schema of its shape can see. */
export interface DocumentProblem {
  readonly path: readonly PropertyKey[]
  readonly message: string
}

/**
 * What is wrong with a document, whatever the tables look like: steps of field mappings that nothing has or that do not
 * take their arguments, and policies that do not go together.
 */
export function checkDocument(document: ConfigPolicies): DocumentProblem[] {
  const { tables = [] } = document
  const problems = conflictProblems(document)
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

/** Policies for conflicts that do not go together. */
function conflictProblems(document: ConfigPolicies): DocumentProblem[] {
  const {
    tables = [],
    conflict_strategy: strategy,
    direction,
    commit_mode: mode = 'streaming',
    newer_by: newerBy,
  } = document
  const problems: DocumentProblem[] = []
  const own = tables.map((table, i) => ({
    path: ['tables', i, 'conflict_strategy'],
    of: table.conflict_strategy,
    by: table.newer_by,
  }))
  for (const { path, of, by } of [{ path: ['conflict_strategy'], of: strategy, by: newerBy }, ...own]) {
    if (of === 'webhook' && document.webhook_url === undefined) {
      problems.push({ path, message: 'webhook needs webhook_url: who is asked.' })
    }
    if (of === 'newer_wins' && (by ?? newerBy) === undefined && !tables.some(({ newer_by: each }) => each)) {
      problems.push({ path, message: 'newer_wins needs newer_by: the column that says which row is newer.' })
    }
  }
  if (direction === 'two_way' && mode !== 'streaming') {
    const why = 'because two servers have no transaction in common'
    problems.push({
      path: ['direction'],
      message: `With commit_mode ${mode} a sync goes one way, ${why}: use streaming.`,
    })
  }
  return problems
}

/** JSON Schema of the parts that `checkDocument` checks, by their names in the schema of a document. */
export function stepSchemas(): Readonly<Record<string, z.core.JSONSchema.BaseSchema>> {
  const { $schema: _, ...TransformStep } = z.toJSONSchema(StepDocument, { io: 'input' })
  return { TransformStep }
}
