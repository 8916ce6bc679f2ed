import { ActionIcon, Stack, Text } from '@mantine/core'
import { IconArrowDown, IconArrowUp } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useMemo } from 'react'
import { ArgumentInput } from '#features/sync-configs/argument-input.tsx'
import { withField } from '#features/sync-configs/document.ts'
import { kindOf, readStep, writeStep, type Field, type NamedStep } from '#features/sync-configs/mapping.ts'
import { AddPart, NamedPart } from '#features/sync-configs/named-parts.tsx'
import { transformsQuery, type Transform } from '#features/sync-configs/queries.ts'

interface StepsEditorProps {
  readonly field: Field
  readonly onChange: (field: Field) => void
}

/** What happens to a value on its way, the first step first. */
export function StepsEditor({ field, onChange }: StepsEditorProps) {
  const { data: transforms = [] } = useQuery(transformsQuery)
  const steps = (field.transforms ?? []).map(readStep)
  const write = (next: readonly NamedStep[]): void =>
    onChange(withField(field, 'transforms', next.length === 0 ? undefined : next.map(writeStep)))
  const isFirstOfMany = steps.length === 0 && kindOf(field) === 'columns'
  const choices = useMemo(() => grouped(transforms, isFirstOfMany), [transforms, isFirstOfMany])
  return (
    <Stack gap="xs">
      {steps.length === 0 && (
        <Text size="sm" className="quiet">
          {isFirstOfMany
            ? 'Several columns need a first step that makes one value of them.'
            : 'The value is carried as it is.'}
        </Text>
      )}
      {steps.map((step, i) => (
        <StepCard
          // A chain may have the same step twice; its place is what tells them apart.
          key={`${i} ${step.name}`}
          step={step}
          transform={transforms.find(({ name }) => name === step.name)}
          onChange={(next) => write(steps.map((one, at) => (at === i ? next : one)))}
          onUp={i === 0 ? null : () => write(swapped(steps, i - 1))}
          onDown={i === steps.length - 1 ? null : () => write(swapped(steps, i))}
          onRemove={() => write(steps.filter((_, at) => at !== i))}
        />
      ))}
      <AddPart
        label="Add a step"
        names={choices}
        aboutOf={(name) => transforms.find((transform) => transform.name === name)?.summary}
        onAdd={(name) => write([...steps, { name, args: argsOf(transforms, name) }])}
      />
    </Stack>
  )
}

/** The arguments that a step cannot do without, as its example has them: something that works, to be changed. */
function argsOf(transforms: readonly Transform[], name: string): NamedStep['args'] {
  const transform = transforms.find((one) => one.name === name)
  const needed = (transform?.arguments ?? []).filter(({ required }) => required)
  return Object.fromEntries(needed.map((argument) => [argument.name, transform?.example.arguments[argument.name]]))
}

function grouped(transforms: readonly Transform[], isFirstOfMany: boolean): { group: string; items: string[] }[] {
  const fitting = transforms.filter(({ takes }) => (takes === 'many') === isFirstOfMany)
  const groups = Map.groupBy(fitting, ({ group }) => group)
  return [...groups].map(([group, members]) => ({ group, items: members.map(({ name }) => name) }))
}

function swapped(steps: readonly NamedStep[], at: number): readonly NamedStep[] {
  return steps.map((step, i) => (i === at ? (steps[at + 1] ?? step) : i === at + 1 ? (steps[at] ?? step) : step))
}

interface StepCardProps {
  readonly step: NamedStep
  readonly transform: Transform | undefined
  readonly onChange: (step: NamedStep) => void
  readonly onUp: (() => void) | null
  readonly onDown: (() => void) | null
  readonly onRemove: () => void
}

function StepCard({ step, transform, onChange, onUp, onDown, onRemove }: StepCardProps) {
  const { name, args } = step
  return (
    <NamedPart
      sort="Step"
      name={name}
      about={transform?.summary ?? 'This page does not know it; the service says whether it is one.'}
      onRemove={onRemove}
      acts={
        <>
          {onUp !== null && (
            <ActionIcon variant="subtle" color="gray" aria-label={`Move ${name} up`} onClick={onUp}>
              <IconArrowUp size={14} />
            </ActionIcon>
          )}
          {onDown !== null && (
            <ActionIcon variant="subtle" color="gray" aria-label={`Move ${name} down`} onClick={onDown}>
              <IconArrowDown size={14} />
            </ActionIcon>
          )}
        </>
      }
    >
      {transform?.arguments.map((argument) => (
        <ArgumentInput
          key={argument.name}
          {...argument}
          value={args[argument.name]}
          onChange={(value) => onChange({ name, args: withField(args, argument.name, value) })}
        />
      ))}
    </NamedPart>
  )
}
