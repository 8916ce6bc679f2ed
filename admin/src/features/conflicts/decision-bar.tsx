import { ActionIcon, Button, Group, Kbd, Menu, UnstyledButton } from '@mantine/core'
import { IconDots } from '@tabler/icons-react'
import { resolvePath, placeOf, type Choice, type Conflict } from '#features/conflicts/queries.ts'
import type { SyncEnds } from '#features/conflicts/use-ends.ts'
import { canTake, effectOf } from '#features/conflicts/words.ts'
import { cliOf, CopyAs, curlOf, type Actions } from '#ui/copy.tsx'
import classes from './conflicts.module.css'

interface BarProps {
  readonly found: Conflict
  readonly ends: SyncEnds
  readonly merged: Choice | null
  readonly decide: (choice: Choice) => void
  readonly takeBack: () => void
  readonly onAlike: () => void
}

/** What can be decided with one key or click. */
export function DecisionBar({ found, ends, merged, decide, takeBack, onAlike }: BarProps) {
  const { status, resolution, sides } = found
  const effects = { sides, twoWay: ends.twoWay }
  const isBuilt = resolution === 'row'
  return (
    <div>
      <section className={classes['bar']} aria-label="Decide">
        {canTake(found, 'source') && (
          <Take
            word="Take source"
            hotkey="a"
            about={effectOf('source', effects)}
            taken={resolution === 'source'}
            act={() => decide({ take: 'source' })}
          />
        )}
        {canTake(found, 'target') && (
          <Take
            word="Take target"
            hotkey="b"
            about={effectOf('target', effects)}
            taken={resolution === 'target'}
            act={() => decide({ take: 'target' })}
          />
        )}
        {merged !== null && (
          <Take
            word="Take merged"
            hotkey="m"
            about={mergedText(found)}
            taken={isBuilt && isMerged(found)}
            act={() => decide(merged)}
          />
        )}
        <Take
          word="Leave both"
          hotkey="s"
          about="both stay as they are"
          taken={resolution === 'skip'}
          act={() => decide({ take: 'skip' })}
        />
      </section>
      <Group gap={4} mt={4}>
        {status === 'resolved' && (
          <Button variant="subtle" color="gray" rightSection={<Kbd size="xs">u</Kbd>} onClick={takeBack}>
            Take the decision back
          </Button>
        )}
        <Button variant="subtle" color="gray" onClick={onAlike}>
          Decide all of this cause
        </Button>
        <CopyAs of={meansOf(found)} />
        <Menu position="bottom-end">
          <Menu.Target>
            <ActionIcon variant="subtle" color="gray" aria-label="More decisions">
              <IconDots size={16} aria-hidden />
            </ActionIcon>
          </Menu.Target>
          <Menu.Dropdown>
            <Menu.Item onClick={() => decide({ take: 'row', values: null })}>
              {ends.twoWay ? 'Have no row on either side' : 'Have no row in the target'}
            </Menu.Item>
          </Menu.Dropdown>
        </Menu>
      </Group>
    </div>
  )
}

interface TakeProps {
  readonly word: string
  readonly hotkey: string
  readonly about: string
  /** It was decided like this. */
  readonly taken: boolean
  readonly act: () => void
}

function Take({ word, hotkey, about, taken, act }: TakeProps) {
  return (
    <UnstyledButton className={classes['take']} aria-pressed={taken} onClick={act}>
      <span className={classes['takeWord']}>{word}</span>
      <Kbd size="xs" aria-hidden>
        {hotkey}
      </Kbd>
      <span className={`${classes['takeAbout']} quiet`}>{about}</span>
    </UnstyledButton>
  )
}

function mergedText({ fields }: Conflict): string {
  return fields.length === 0 ? 'each side’s changes' : `${fields.join(', ')} from the target`
}

function isMerged({ built_row: built, merged_row: merged }: Conflict): boolean {
  return JSON.stringify(built) === JSON.stringify(merged)
}

/** How each of them is decided elsewhere. */
function meansOf(found: Conflict): Actions {
  const path = resolvePath(placeOf(found), found.id)
  const takes = [
    ...(canTake(found, 'source') ? [['Take source', 'source'] as const] : []),
    ...(canTake(found, 'target') ? [['Take target', 'target'] as const] : []),
    ['Leave both', 'skip'] as const,
  ]
  return takes.map(([word, take]) => [
    word,
    {
      cli: cliOf('conflicts', 'resolve', found.id, '--take', take, '--as-of', String(found.version)),
      curl: curlOf('POST', path, { take }),
    },
  ])
}
