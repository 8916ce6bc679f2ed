import { Stack, Text, TextInput } from '@mantine/core'
import { useMutation } from '@tanstack/react-query'
import { useState, type Dispatch, type SetStateAction } from 'react'
import { ApiProblem, type Schemas } from '#api/client.ts'
import { isProjectUrl, urlOf, withParsed, type DatasourceDraft } from '#features/datasources/connection-draft.ts'
import { parseUrl } from '#features/datasources/queries.ts'
import { CopyButton } from '#ui/copy.tsx'
import { Notes } from '#features/datasources/notes.tsx'

interface UrlFieldProps {
  readonly draft: DatasourceDraft
  readonly onChange: Dispatch<SetStateAction<DatasourceDraft>>
  readonly autoFocus?: boolean
}

/**
 * The form as a URL, without its password; a URL that is pasted or typed here fills the form. The password moves into its
 * own field, so that what stands here may be seen and copied.
 */
export function UrlField({ draft, onChange, autoFocus = false }: UrlFieldProps) {
  // What is being typed; null while the field shows the form.
  const [typed, setTyped] = useState<string | null>(null)
  const [notes, setNotes] = useState<readonly Schemas['Check'][]>([])
  const read = useMutation({
    meta: { shown: true },
    mutationFn: parseUrl,
    onSuccess: (parsed, url) => {
      onChange((old) => withParsed(old, url, parsed))
      setNotes(parsed.notes.filter(({ step }) => step === 'password'))
      setTyped(null)
    },
  })
  const take = (text: string): void => {
    const url = text.trim()
    if (url === '' || url === urlOf(draft)) {
      setTyped(null)
      read.reset()
    } else if (isProjectUrl(url)) {
      onChange((old) => ({ ...old, way: 'project', projectUrl: url, password: '' }))
      setTyped(null)
      read.reset()
    } else {
      read.mutate(url)
    }
  }
  const { error } = read
  const shown = typed ?? urlOf(draft)
  return (
    <Stack gap={6}>
      <TextInput
        label="Connection URL"
        description="Paste it whole: it fills the form, and the password moves into its own field."
        placeholder="postgres://user:password@host:5432/database"
        classNames={{ input: 'mono' }}
        autoComplete="off"
        spellCheck={false}
        autoFocus={autoFocus}
        value={shown}
        error={error === null ? undefined : `${error.message} ${error instanceof ApiProblem ? error.hint : ''}`}
        rightSectionWidth={96}
        rightSection={typed === null && shown !== '' ? <CopyButton text={shown} /> : null}
        onChange={(event) => setTyped(event.currentTarget.value)}
        onPaste={(event) => {
          // Pasted over everything or into nothing it is a whole URL; in the middle it is a part of one.
          const { selectionStart: from, selectionEnd: to, value } = event.currentTarget
          if (from !== 0 || to !== value.length) return
          event.preventDefault()
          const text = event.clipboardData.getData('text')
          setTyped(text)
          take(text)
        }}
        onBlur={() => typed !== null && take(typed)}
        onKeyDown={(event) => {
          if (event.key !== 'Enter' || typed === null) return
          event.preventDefault()
          take(typed)
        }}
      />
      <Notes of={notes} />
      <Text className="sr-only" aria-live="polite">
        {read.isSuccess && typed === null ? 'The form was filled from the URL.' : ''}
      </Text>
    </Stack>
  )
}
