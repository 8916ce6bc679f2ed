import {
  ActionIcon,
  Button,
  Checkbox,
  Group,
  NumberInput,
  Select,
  Stack,
  TagsInput,
  Text,
  Textarea,
  TextInput,
} from '@mantine/core'
import { IconPlus, IconX } from '@tabler/icons-react'
import { useState } from 'react'
import { defaultOf, exampleOf, inputOf } from '#features/sync-configs/argument.ts'

interface ArgumentInputProps {
  readonly name: string
  readonly description: string
  readonly required: boolean
  readonly schema: Readonly<Record<string, unknown>>
  readonly value: unknown
  /** Undefined takes it away: then its default holds. */
  readonly onChange: (value: unknown) => void
}

/** A value of a step or a rule, entered as its schema says. */
export function ArgumentInput({ name, description, required, schema, value, onChange }: ArgumentInputProps) {
  const input = inputOf(schema)
  const frame = { label: name, description, size: 'xs', withAsterisk: required } as const
  const placeholder = defaultOf(schema) || exampleOf(schema)
  const empty = (text: string): string | undefined => (text === '' && !required ? undefined : text)
  switch (input.kind) {
    case 'choice':
      return (
        <Select
          {...frame}
          placeholder={placeholder}
          data={[...input.values]}
          clearable={!required}
          clearButtonProps={{ 'aria-label': `The default of ${name}` }}
          value={typeof value === 'string' ? value : null}
          onChange={(next) => onChange(next ?? undefined)}
        />
      )
    case 'number':
      return (
        <NumberInput
          {...frame}
          placeholder={placeholder}
          allowDecimal={!input.whole}
          hideControls
          value={typeof value === 'number' ? value : ''}
          onChange={(next) => onChange(typeof next === 'number' ? next : undefined)}
        />
      )
    case 'boolean':
      return (
        <Checkbox
          size="xs"
          label={name}
          description={description}
          checked={typeof value === 'boolean' ? value : schema['default'] === true}
          onChange={(event) =>
            onChange(
              event.currentTarget.checked === (schema['default'] ?? false) ? undefined : event.currentTarget.checked,
            )
          }
        />
      )
    case 'text':
      return (
        <TextInput
          {...frame}
          placeholder={placeholder}
          value={typeof value === 'string' || typeof value === 'number' ? String(value) : ''}
          onChange={(event) => onChange(empty(event.currentTarget.value))}
        />
      )
    case 'texts':
      return (
        <TagsInput
          {...frame}
          placeholder="Enter after each"
          value={Array.isArray(value) ? value.map(String) : []}
          onChange={(next) => onChange(next.length === 0 && !required ? undefined : next)}
        />
      )
    case 'pairs':
      return <Pairs name={name} description={description} value={value} onChange={onChange} />
    case 'fixed':
      return (
        <Text size="xs">
          {name}: {JSON.stringify(schema['const'])}
        </Text>
      )
    case 'json':
      return <Json {...frame} placeholder={placeholder} value={value} onChange={onChange} />
  }
}

interface PairsProps {
  readonly name: string
  readonly description: string
  readonly value: unknown
  readonly onChange: (value: unknown) => void
}

/** A value for each of some values. */
function Pairs({ name, description, value, onChange }: PairsProps) {
  const pairs: readonly (readonly [string, unknown])[] =
    typeof value === 'object' && value !== null ? Object.entries(value) : []
  const write = (next: readonly (readonly [string, unknown])[]): void => onChange(Object.fromEntries(next))
  const replace = (at: number, pair: readonly [string, unknown]): void =>
    write(pairs.map((one, i) => (i === at ? pair : one)))
  return (
    <Stack gap={4} component="fieldset" bd={0} p={0} m={0} aria-label={name}>
      <Text size="xs" fw={500}>
        {name}
      </Text>
      <Text size="xs" className="quiet">
        {description}
      </Text>
      {pairs.map(([from, to], i) => (
        <Group key={i} gap={4} wrap="nowrap">
          <TextInput
            size="xs"
            aria-label={`From, ${i + 1}`}
            value={from}
            onChange={(event) => replace(i, [event.currentTarget.value, to])}
          />
          <Text size="xs">→</Text>
          <TextInput
            size="xs"
            aria-label={`To, ${i + 1}`}
            placeholder={to === null ? 'NULL' : ''}
            value={typeof to === 'string' ? to : ''}
            onChange={(event) => replace(i, [from, event.currentTarget.value])}
          />
          <ActionIcon
            variant="subtle"
            color="gray"
            aria-label={`Remove ${from}`}
            onClick={() => write(pairs.filter((_, at) => at !== i))}
          >
            <IconX size={14} />
          </ActionIcon>
        </Group>
      ))}
      <Group>
        <Button
          variant="default"
          size="compact-xs"
          leftSection={<IconPlus size={14} aria-hidden />}
          disabled={pairs.some(([from]) => from === '')}
          onClick={() => write([...pairs, ['', '']])}
        >
          Add a pair
        </Button>
      </Group>
    </Stack>
  )
}

interface JsonProps {
  readonly label: string
  readonly description: string
  readonly size: 'xs'
  readonly withAsterisk: boolean
  readonly placeholder: string
  readonly value: unknown
  readonly onChange: (value: unknown) => void
}

function Json({ value, onChange, ...frame }: JsonProps) {
  const [text, setText] = useState(() => (value === undefined ? '' : JSON.stringify(value)))
  const read = parse(text)
  return (
    <Textarea
      {...frame}
      autosize
      classNames={{ input: 'mono' }}
      value={text}
      error={read === null ? 'This is not JSON.' : undefined}
      onChange={(event) => {
        const next = event.currentTarget.value
        setText(next)
        const now = parse(next)
        if (now !== null) onChange(now.value)
      }}
    />
  )
}

function parse(text: string): { readonly value: unknown } | null {
  if (text.trim() === '') return { value: undefined }
  try {
    return { value: JSON.parse(text) as unknown }
  } catch {
    return null
  }
}
