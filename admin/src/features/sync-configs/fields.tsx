import { NumberInput, Select, Stack, Text, TextInput } from '@mantine/core'
import type { ReactNode } from 'react'
import { useDraft } from '#features/sync-configs/draft.tsx'
import { withField, type Document } from '#features/sync-configs/document.ts'
import type { Choice } from '#features/sync-configs/words.ts'

/** Fields of a form over the document. What has its default is left out of it; whoever may not edit reads it. */

interface ChooseProps {
  readonly label: string
  readonly choices: readonly Choice[]
  /** Undefined: the first of the choices, or what `inherits` names. */
  readonly value: string | undefined
  readonly onChange: (value: string | undefined) => void
  /** Where nothing is chosen something else holds, which this names. */
  readonly inherits?: string
  readonly error?: string | undefined
  readonly mayEdit: boolean
}

/** A policy: its values by their words, and below what the chosen one means. */
export function Choose({ label, choices, value, onChange, inherits, error, mayEdit }: ChooseProps) {
  const [byDefault] = choices
  const given = value ?? (inherits === undefined ? byDefault?.value : '')
  const about = choices.find((choice) => choice.value === given)?.about ?? ''
  const options = [
    ...(inherits === undefined ? [] : [{ value: '', word: inherits, about: '' }]),
    ...choices,
    // What this page has no word for stays as it is.
    ...(choices.some((choice) => choice.value === given) || given === ''
      ? []
      : [{ value: given ?? '', word: given ?? '', about: '' }]),
  ]
  if (!mayEdit)
    return <Fact label={label} value={options.find((one) => one.value === given)?.word ?? ''} about={about} />
  return (
    <Select
      label={label}
      {...(about === '' ? {} : { description: about })}
      inputWrapperOrder={['label', 'input', 'description', 'error']}
      data={options.map((choice) => ({ value: choice.value, label: choice.word }))}
      renderOption={({ option }) => (
        <Stack gap={0}>
          <Text size="sm">{option.label}</Text>
          <Text size="xs" className="quiet">
            {options.find((choice) => choice.value === option.value)?.about}
          </Text>
        </Stack>
      )}
      value={given ?? null}
      onChange={(next) => {
        const isDefault = inherits === undefined ? next === byDefault?.value : next === ''
        onChange(isDefault || next === null ? undefined : next)
      }}
      error={error}
      comboboxProps={{ width: 'target' }}
      maw={440}
    />
  )
}

/** What stands in a field, for those who only read. */
export function Fact({
  label,
  value,
  about,
}: {
  readonly label: string
  readonly value: ReactNode
  readonly about?: string
}) {
  return (
    <Stack gap={0} maw={440}>
      <Text size="xs" className="quiet">
        {label}
      </Text>
      <Text size="sm" fw={600} component="div">
        {value}
      </Text>
      {about !== undefined && (
        <Text size="xs" className="quiet">
          {about}
        </Text>
      )}
    </Stack>
  )
}

interface FieldProps<K extends keyof Document> {
  readonly name: K
  readonly label: string
}

type NamesOf<T> = { readonly [K in keyof Document]-?: NonNullable<Document[K]> extends T ? K : never }[keyof Document]

export function ChoiceField({
  name,
  label,
  choices,
}: FieldProps<NamesOf<string>> & { readonly choices: readonly Choice[] }) {
  const { document, change, mayEdit, problemAt } = useDraft()
  return (
    <Choose
      label={label}
      choices={choices}
      value={document[name]}
      onChange={(value) => change((now) => withField(now, name, value as Document[typeof name]))}
      error={problemAt(name)}
      mayEdit={mayEdit}
    />
  )
}

interface NumberFieldProps extends FieldProps<NamesOf<number>> {
  readonly about: string
  /** What holds where nothing is said; null: nothing does. */
  readonly byDefault: number | null
  readonly min?: number
  readonly max?: number
  readonly suffix?: string
}

export function NumberField({ name, label, about, byDefault, min = 0, max, suffix = '' }: NumberFieldProps) {
  const { document, change, mayEdit, problemAt } = useDraft()
  const value = document[name]
  const placeholder = byDefault === null ? 'not set' : `${byDefault}${suffix}`
  if (!mayEdit)
    return <Fact label={label} value={value === undefined ? placeholder : `${value}${suffix}`} about={about} />
  return (
    <NumberInput
      label={label}
      description={about}
      inputWrapperOrder={['label', 'input', 'description', 'error']}
      placeholder={placeholder}
      value={value ?? ''}
      onChange={(next) => change((now) => withField(now, name, typeof next === 'number' ? next : undefined))}
      min={min}
      {...(max === undefined ? {} : { max })}
      suffix={suffix}
      clampBehavior="none"
      hideControls
      error={problemAt(name)}
      maw={440}
    />
  )
}

interface TextFieldProps extends FieldProps<NamesOf<string>> {
  readonly about: string
  readonly placeholder?: string
  readonly isRequired?: boolean
}

export function TextField({ name, label, about, placeholder = '', isRequired = false }: TextFieldProps) {
  const { document, change, mayEdit, problemAt } = useDraft()
  const value = document[name]
  if (!mayEdit) return <Fact label={label} value={value ?? 'not set'} about={about} />
  return (
    <TextInput
      label={label}
      description={about}
      inputWrapperOrder={['label', 'input', 'description', 'error']}
      placeholder={placeholder}
      value={value ?? ''}
      onChange={({ currentTarget: { value: next } }) =>
        change((now) => withField(now, name, (next === '' && !isRequired ? undefined : next) as Document[typeof name]))
      }
      error={problemAt(name)}
      maw={440}
    />
  )
}
