import type { TransformStep } from '#model/field-mapping.ts'
import type { Column } from '#model/table.ts'

const IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_]*$/

/** Words that CEL keeps for itself. */
const RESERVED = new Set(
  'as break const continue else false for function if import in let loop null package namespace return true var void while row'.split(
    ' ',
  ),
)

/** A chain over columns as one CEL expression; null where it has a step that no expression says as shortly. */
export function expressionFor(
  columns: readonly Pick<Column, 'name'>[],
  steps: readonly TransformStep[],
): string | null {
  if (steps.length === 0) return null
  const names = columns.map(({ name }) => columnText(name))
  let made = names[0] ?? ''
  for (const each of steps) {
    const next = each.name === 'concat' ? joined(names, each) : say(made, each)
    if (next === null) return null
    made = next
  }
  return made
}

function columnText(name: string): string {
  return IDENTIFIER.test(name) && !RESERVED.has(name) ? name : `row[${text(name)}]`
}

/** Null in one of them makes null of the whole, as `+` does. */
function joined(names: readonly string[], { args }: TransformStep): string {
  const separator = text(args['separator'])
  return names.join(separator === '""' ? ' + ' : ` + ${separator} + `)
}

function say(value: string, { name, args }: TransformStep): string | null {
  const bare = /^[\w.[\]"()]+$/.test(value) ? value : `(${value})`
  switch (name) {
    case 'trim':
      return args['side'] === undefined && args['characters'] === undefined ? `trim(${value})` : null
    case 'lower':
    case 'upper':
      return `${name}(${value})`
    case 'affix': {
      const parts = [text(args['before']), bare, text(args['after'])]
      return parts.filter((part) => part !== '""').join(' + ')
    }
    case 'scale': {
      const power = Number(args['power'])
      return `${bare} * decimal("${power < 0 ? `0.${'0'.repeat(-power - 1)}1` : `1${'0'.repeat(power)}`}")`
    }
    case 'from_epoch':
      return args['unit'] === 'seconds' && args['zoned'] !== false ? `fromSeconds(${value})` : null
    case 'date_of':
      return `date(${value})`
    default:
      return null
  }
}

function text(value: unknown): string {
  return JSON.stringify(typeof value === 'string' ? value : '')
}
