import { Stack, Text } from '@mantine/core'
import type { Schemas } from '#api/client.ts'
import { capital } from '#ui/checks.tsx'
import { Mark } from '#ui/mark.tsx'

/** What was recognised in an address, and what follows from it. */
export function Notes({ of: notes }: { readonly of: readonly Schemas['Check'][] }) {
  if (notes.length === 0) return null
  return (
    <Stack gap={6} aria-live="polite">
      {notes.map(({ step, state, found, next }) => (
        <div key={step}>
          <Text size="sm" component="div">
            <Mark tone={state === 'pass' ? 'done' : 'person'}>{capital(step)}</Mark> {found}
          </Text>
          {next !== null && (
            <Text size="sm" className="quiet">
              {next}
            </Text>
          )}
        </div>
      ))}
    </Stack>
  )
}
