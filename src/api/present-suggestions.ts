import type { Suggestions } from '#api/contract/suggestions.ts'
import type { SuggestAnswer } from '#jobs/suggest-fields.ts'
import type { FieldDocument } from '#model/field-document.ts'
import type { FieldSuggestion } from '#sync/suggest-mapping.ts'
import { formatTableName } from '#model/table-pattern.ts'

export function presentSuggestions({ tables, leftOut, unmatched }: SuggestAnswer): Suggestions {
  return {
    tables: tables.map(({ source, target, score, reasons, mapping, sampled, notes }) => ({
      source: formatTableName(source),
      target: formatTableName(target),
      score,
      reasons: [...reasons],
      fields: mapping.fields.map(presentField),
      candidates: mapping.candidates.map(presentField),
      unmapped: { source: [...mapping.unmapped.source], target: [...mapping.unmapped.target] },
      sampled: { ...sampled },
      notes: [...notes],
    })),
    unmatched: unmatched.map(formatTableName),
    left_out: leftOut.map(({ source, target }) => ({
      source: formatTableName(source),
      target: formatTableName(target),
    })),
  }
}

function presentField(field: FieldSuggestion): Suggestions['tables'][number]['fields'][number] {
  const { score, reasons, verified, expression, by } = field
  return { mapping: toDocument(field), score, reasons: [...reasons], verified_rows: verified, expression, by }
}

/** As somebody would write it into `field_mappings`. */
function toDocument({ target, from, transforms }: FieldSuggestion): FieldDocument {
  const steps = transforms.map(({ name, args }) =>
    Object.keys(args).length === 0 ? name : { [name]: JSON.parse(JSON.stringify(args)) as Record<string, never> },
  )
  return { target, ...source(from), ...(steps.length === 0 ? {} : { transforms: steps }) }
}

function source(from: FieldSuggestion['from']): Partial<FieldDocument> {
  switch (from.kind) {
    case 'columns': {
      const [only, ...others] = from.columns
      return others.length === 0 ? { column: only } : { columns: [...from.columns] }
    }
    case 'constant':
      return { constant: from.value }
    case 'expression':
      return { expression: from.text }
    case 'code':
      return { code: from.text }
  }
}
