import { Button, Group, SegmentedControl, Stack, Text, TextInput, Title } from '@mantine/core'
import { useMutation, useQueryClient, type QueryKey, type UseMutationResult } from '@tanstack/react-query'
import { useState, type ReactNode } from 'react'
import type { Schemas } from '#api/client.ts'
import { Checks, ChecksPending } from '#ui/checks.tsx'
import { Confirm } from '#ui/confirm.tsx'
import { CopyAs, curlOf } from '#ui/copy.tsx'
import { Fact, Facts } from '#ui/facts.tsx'
import { Mark } from '#ui/mark.tsx'
import { Problem } from '#ui/problem.tsx'
import { say } from '#ui/say.ts'
import { Time } from '#ui/time.tsx'
import classes from '#ui/columns.module.css'

/** What settings with a secret have in common: where the one comes from that is used, and its last test. */
type Settings = Pick<Schemas['RedisSettings'], 'source' | 'overridden' | 'updated_at' | 'updated_by' | 'last_test'>

/** How a setting is spoken of, and where it is. */
export interface SettingWords {
  /** Its variable of the environment, which comes before what is set up here. */
  readonly variable: string
  readonly path: string
  readonly none: string
  readonly noneAbout: string
  readonly test: string
  readonly untested: string
  readonly remove: string
  readonly removeAbout: string
  readonly removed: string
}

type Test<Draft> = UseMutationResult<Schemas['ConnectionTest'], Error, Draft | null>

interface SealedSettingProps<Draft> {
  readonly words: SettingWords
  readonly settings: Settings
  readonly queryKey: QueryKey
  /** By a draft, or (null) by what is set up. */
  readonly test: Test<Draft>
  readonly clear: () => Promise<unknown>
  /** What is known of the one that is used. */
  readonly facts: ReactNode
  /** The form. */
  readonly children: ReactNode
}

/** Something that the service reaches with a secret: which one it is, its test step by step, and setting up another one. */
export function SealedSetting<Draft>({ settings, test, children, ...props }: SealedSettingProps<Draft>) {
  const shown = test.data ?? settings.last_test
  return (
    <div className={classes['columns']}>
      <Stack gap="lg">
        <Current {...props} settings={settings} test={test} />
        {children}
      </Stack>
      <div className={classes['aside']}>
        <Stack gap="sm">
          <Title order={2}>{test.data === undefined ? 'Last test' : 'This test'}</Title>
          {test.isPending ? (
            <ChecksPending />
          ) : shown === null ? (
            <Text size="sm" className="quiet">
              {props.words.untested}
            </Text>
          ) : (
            <Checks test={shown} />
          )}
        </Stack>
      </div>
    </div>
  )
}

type CurrentProps<Draft> = Omit<SealedSettingProps<Draft>, 'children'>

function Current<Draft>({ words, settings, queryKey, test, clear, facts }: CurrentProps<Draft>) {
  const { source, overridden, updated_at: at, updated_by: by } = settings
  const [asking, setAsking] = useState(false)
  if (source === null) {
    return (
      <Stack gap={4}>
        <Mark tone="resting">{words.none}</Mark>
        <Text size="sm" className="quiet">
          {words.noneAbout}
        </Text>
      </Stack>
    )
  }
  return (
    <Stack gap="sm">
      <Mark tone="done">{source === 'environment' ? `From ${words.variable} in the environment` : 'Set up here'}</Mark>
      {overridden && (
        <Mark tone="person">{`One is set up here too, and ${words.variable} in the environment comes before it`}</Mark>
      )}
      <Facts>
        {facts}
        {at !== null && (
          <Fact name="Set up">
            <Time at={at} />
            {by !== null && ` by ${by}`}
          </Fact>
        )}
      </Facts>
      <Group gap="xs">
        <Button variant="default" loading={test.isPending} onClick={() => test.mutate(null)}>
          {words.test}
        </Button>
        <CopyAs curl={curlOf('POST', `${words.path}/test`, {})} />
        {(source === 'store' || overridden) && (
          <Button variant="outline" color="red" onClick={() => setAsking(true)}>
            Remove the setting
          </Button>
        )}
      </Group>
      {asking && <Clear words={words} queryKey={queryKey} clear={clear} onClose={() => setAsking(false)} />}
    </Stack>
  )
}

interface ClearProps extends Pick<SealedSettingProps<never>, 'words' | 'queryKey' | 'clear'> {
  readonly onClose: () => void
}

function Clear({ words, queryKey, clear: forget, onClose }: ClearProps) {
  const client = useQueryClient()
  const clear = useMutation({
    meta: { shown: true },
    mutationFn: forget,
    onSuccess: async () => {
      onClose()
      say(words.removed)
      await client.invalidateQueries({ queryKey })
    },
  })
  return (
    <Confirm
      title={words.remove}
      verb="Remove the setting"
      pending={clear.isPending}
      error={clear.error}
      beside={<CopyAs curl={curlOf('DELETE', words.path)} />}
      onConfirm={() => clear.mutate()}
      onClose={onClose}
    >
      {words.removeAbout}
    </Confirm>
  )
}

interface SettingFormProps<Draft> {
  readonly title: string
  readonly path: string
  /** Null as long as it is not enough to be set up. */
  readonly draft: Draft | null
  /** What is copied may end in a chat or a file: the draft without its secret. */
  readonly copied: unknown
  readonly set: UseMutationResult<unknown, Error, Draft>
  readonly test: Test<Draft>
  readonly children: ReactNode
}

/** Sets up another one, or tries it first. */
export function SettingForm<Draft>({ title, path, draft, copied, set, test, children }: SettingFormProps<Draft>) {
  const problem = set.error ?? test.error
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault()
        if (draft !== null) set.mutate(draft)
      }}
    >
      <Stack gap="sm">
        <Title order={2}>{title}</Title>
        {children}
        {problem !== null && <Problem error={problem} />}
        <Group gap="xs">
          <Button type="submit" disabled={draft === null} loading={set.isPending}>
            Set up
          </Button>
          <Button
            variant="default"
            disabled={draft === null}
            loading={test.isPending}
            onClick={() => draft !== null && test.mutate(draft)}
          >
            Test it first
          </Button>
          {draft !== null && <CopyAs curl={curlOf('PUT', path, copied)} />}
        </Group>
      </Stack>
    </form>
  )
}

/** A secret as it is typed, or where it is looked up each time. */
export interface TypedSecret {
  readonly isReference: boolean
  readonly text: string
}

interface SecretFieldProps {
  /** What it is: `Key`, `URL`. */
  readonly label: string
  readonly about: string
  readonly referenceAbout: string
  readonly placeholder: string
  readonly referencePlaceholder: string
  /** Not shown while it is typed. */
  readonly hidden?: boolean
  readonly value: TypedSecret
  readonly error: string | undefined
  readonly onChange: (value: TypedSecret) => void
}

export function SecretField(props: SecretFieldProps) {
  const {
    label,
    about,
    referenceAbout,
    placeholder,
    referencePlaceholder,
    hidden = false,
    value,
    error,
    onChange,
  } = props
  const { isReference, text } = value
  return (
    <>
      <SegmentedControl
        size="xs"
        w="fit-content"
        aria-label={`How the ${label === 'URL' ? label : label.toLowerCase()} is given`}
        value={isReference ? 'reference' : 'itself'}
        onChange={(way) => onChange({ isReference: way === 'reference', text: '' })}
        data={[
          { value: 'itself', label },
          { value: 'reference', label: 'Reference' },
        ]}
      />
      <TextInput
        label={isReference ? 'Reference' : label}
        type={hidden && !isReference ? 'password' : 'text'}
        description={isReference ? `env:NAME, file:PATH or vault:PATH#FIELD: ${referenceAbout}` : about}
        placeholder={isReference ? referencePlaceholder : placeholder}
        classNames={{ input: 'mono' }}
        autoComplete="off"
        spellCheck={false}
        value={text}
        error={error}
        onChange={(event) => onChange({ isReference, text: event.currentTarget.value })}
      />
    </>
  )
}
