import { Button, Menu } from '@mantine/core'
import { useClipboard } from '@mantine/hooks'
import { IconCheck, IconCopy } from '@tabler/icons-react'
import { say } from '#ui/say.ts'

interface CopyButtonProps {
  readonly text: string
  readonly children?: string
}

export function CopyButton({ text, children = 'Copy' }: CopyButtonProps) {
  const clipboard = useClipboard({ timeout: 1_500 })
  return (
    <Button
      variant="subtle"
      color="gray"
      leftSection={clipboard.copied ? <IconCheck size={14} aria-hidden /> : <IconCopy size={14} aria-hidden />}
      onClick={() => clipboard.copy(text)}
    >
      {clipboard.copied ? 'Copied' : children}
    </Button>
  )
}

/** The same action by other means: what each of them would say. */
export interface OtherMeans {
  readonly curl?: string | undefined
  readonly cli?: string | undefined
  readonly yaml?: string | undefined
}

const NAMES = { curl: 'curl', cli: 'command line', yaml: 'YAML' } as const

/** What can be done in one place, each action under its word. */
export type Actions = readonly (readonly [word: string, means: OtherMeans])[]

/** "Copy as": for every action that changes something, or for several that stand beside each other. */
export function CopyAs({ of, ...means }: OtherMeans & { readonly of?: Actions }) {
  const clipboard = useClipboard()
  const offered = (of ?? [['', means] as const]).flatMap(([action, by]) =>
    (['cli', 'curl', 'yaml'] as const).flatMap((name) => {
      const text = by[name]
      return text === undefined ? [] : [{ word: action === '' ? NAMES[name] : `${action}: ${NAMES[name]}`, text, name }]
    }),
  )
  return (
    <Menu position="bottom-end">
      <Menu.Target>
        <Button variant="subtle" color="gray" leftSection={<IconCopy size={14} aria-hidden />}>
          Copy as
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        {offered.map(({ word, text, name }) => (
          <Menu.Item
            key={word}
            onClick={() => {
              clipboard.copy(text)
              say(`Copied as ${NAMES[name]}.`)
            }}
          >
            {word}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  )
}

/** A request as curl sends it; the key comes from the environment of whoever runs it. */
export function curlOf(method: string, path: string, body?: unknown): string {
  const lines = [`curl -X ${method} ${location.origin}${path}`, `-H "X-API-Key: $SYNCLINE_API_KEY"`]
  if (body !== undefined) {
    lines.push(`-H 'content-type: application/json'`, `-d ${quote(JSON.stringify(body))}`)
  }
  return lines.join(' \\\n  ')
}

/** A command line of ours, each word quoted where a shell needs it. */
export function cliOf(...words: readonly string[]): string {
  return ['syncline', ...words].map(quote).join(' ')
}

/** A word of a shell. */
export function quote(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`
}
