import { Button, Group, Text } from '@mantine/core'
import type { Suggested } from '#features/sync-configs/mapped-table.tsx'
import { readStep, sourceInWords, type Field } from '#features/sync-configs/mapping.ts'

/** From here on a suggestion may be taken with others at once; below it each is looked at. */
const STRONG = 0.8
const FAIR = 0.5

export function isStrong({ score }: Pick<Suggested, 'score'>): boolean {
  return score >= STRONG
}

/** A score in a word: it is no probability. */
export function strengthOf(score: number): string {
  return score >= STRONG ? 'strong' : score >= FAIR ? 'fair' : 'weak'
}

interface SuggestedFieldProps {
  readonly suggested: Suggested
  readonly onAccept: ((field: Field) => void) | null
}

/** What could feed a column, with how likely that is meant and why. */
export function SuggestedField({ suggested, onAccept }: SuggestedFieldProps) {
  const { mapping, score, reasons, verified_rows: verified } = suggested
  const steps = (mapping.transforms ?? []).map((step) => readStep(step).name)
  const why = [...reasons, ...(verified === null ? [] : [`right in ${verified} rows that both sides have`])]
  return (
    <Group gap="xs" wrap="nowrap" title={why.join('; ')}>
      <Text size="sm" className="numbers">
        <span className="mono">{[sourceInWords(mapping), ...steps].join(' → ')}</span>{' '}
        <span className="quiet">
          {score.toFixed(2)} {strengthOf(score)}
        </span>
      </Text>
      {onAccept !== null && (
        <Button
          variant="default"
          size="compact-xs"
          onClick={() => onAccept(mapping)}
          aria-label={`Accept ${sourceInWords(mapping)} for ${mapping.target}`}
        >
          Accept
        </Button>
      )}
    </Group>
  )
}
