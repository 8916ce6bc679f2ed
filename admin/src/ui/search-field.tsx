import { CloseButton, TextInput } from '@mantine/core'
import { useDebouncedCallback } from '@mantine/hooks'
import { IconSearch } from '@tabler/icons-react'
import { useState } from 'react'

interface SearchFieldProps {
  readonly label: string
  readonly value: string
  /** Called when the typing pauses. */
  readonly onChange: (text: string) => void
  readonly width?: number
}

const PAUSE_MS = 250

/** A text to search for, which stands in the address of the page. */
export function SearchField({ label, value, onChange, width = 260 }: SearchFieldProps) {
  const [text, setText] = useState(value)
  const [seen, setSeen] = useState(value)
  const [told, setTold] = useState(value)
  // An address that changes by itself, as by the back button, is what counts; one that says what was typed comes late.
  if (value !== seen) {
    setSeen(value)
    if (value !== told) setText(value)
  }
  const later = useDebouncedCallback((next: string) => {
    setTold(next)
    onChange(next)
  }, PAUSE_MS)
  const say = (next: string): void => {
    setText(next)
    later(next)
  }
  return (
    <TextInput
      size="xs"
      w={width}
      aria-label={label}
      placeholder={label}
      value={text}
      leftSection={<IconSearch size={14} aria-hidden />}
      rightSection={
        text === '' ? null : <CloseButton size="sm" aria-label="Clear the search" onClick={() => say('')} />
      }
      onChange={(event) => say(event.currentTarget.value)}
    />
  )
}
