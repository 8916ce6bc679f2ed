import { ActionIcon, Group, Paper, Select, Stack, Text } from '@mantine/core'
import { IconX } from '@tabler/icons-react'
import type { ReactNode } from 'react'

interface NamedPartProps {
  /** What sort of part it is, for those who hear it: `Step`. */
  readonly sort: string
  readonly name: string
  readonly about: ReactNode
  readonly onRemove: () => void
  /** What else can be done with it, before it is removed. */
  readonly acts?: ReactNode
  readonly children?: ReactNode
}

/** One of the parts that a field is made of, by its name, with what it asks for. */
export function NamedPart({ sort, name, about, onRemove, acts, children }: NamedPartProps) {
  return (
    <Paper withBorder p="xs" component="section" aria-label={`${sort} ${name}`}>
      <Stack gap="xs">
        <Group justify="space-between" wrap="nowrap" align="flex-start">
          <Stack gap={0}>
            <Text className="mono" fw={600}>
              {name}
            </Text>
            <Text size="xs" className="quiet">
              {about}
            </Text>
          </Stack>
          <Group gap={2} wrap="nowrap">
            {acts}
            <ActionIcon variant="subtle" color="gray" aria-label={`Remove ${name}`} onClick={onRemove}>
              <IconX size={14} />
            </ActionIcon>
          </Group>
        </Group>
        {children}
      </Stack>
    </Paper>
  )
}

interface AddPartProps {
  readonly label: string
  readonly names: readonly string[] | readonly { readonly group: string; readonly items: readonly string[] }[]
  readonly aboutOf: (name: string) => string | undefined
  readonly onAdd: (name: string) => void
}

/** Adds a part by its name, with what each of them is for. */
export function AddPart({ label, names, aboutOf, onAdd }: AddPartProps) {
  return (
    <Select
      aria-label={label}
      placeholder={label}
      // In a list that is short one sees what there is.
      searchable={typeof names[0] !== 'string'}
      data={[...names].map((one) => (typeof one === 'string' ? one : { ...one, items: [...one.items] }))}
      value={null}
      maxDropdownHeight={320}
      onChange={(name) => name !== null && onAdd(name)}
      renderOption={({ option }) => (
        <Stack gap={0}>
          <Text size="sm" className="mono">
            {option.value}
          </Text>
          <Text size="xs" className="quiet">
            {aboutOf(option.value)}
          </Text>
        </Stack>
      )}
    />
  )
}
