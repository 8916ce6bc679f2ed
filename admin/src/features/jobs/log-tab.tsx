import { Button, Group, SegmentedControl, Stack, Switch, Text, TextInput } from '@mantine/core'
import { IconDownload, IconSearch } from '@tabler/icons-react'
import { useSearch } from '@tanstack/react-router'
import { useEffect, useMemo, useRef, useState } from 'react'
import { linesOf, logFile, type Level, type Line } from '#features/jobs/log-text.ts'
import { isActive, useJobLog, type Job } from '#features/jobs/queries.ts'
import { useSetFilters } from '#lib/filters.ts'
import { formatAbsolute, formatCount } from '#lib/format.ts'
import { saveText } from '#lib/save-text.ts'
import { CopyButton } from '#ui/copy.tsx'
import { Mark } from '#ui/mark.tsx'
import { Answer } from '#ui/page.tsx'
import classes from './jobs.module.css'

const LEVELS = [
  { value: 'all', label: 'Everything' },
  { value: 'warn', label: 'Warnings and errors' },
  { value: 'error', label: 'Errors' },
]

const RANK: Readonly<Record<Level, number>> = { info: 0, warn: 1, error: 2 }

/** What happened in a job, line by line. */
export function LogTab({ job }: { readonly job: Job }) {
  const log = useJobLog(job.id)
  const { level = 'all', search = '' } = useSearch({ from: '/shell/jobs/$id' })
  const set = useSetFilters()
  const [follows, setFollows] = useState(isActive(job))
  const lines = useMemo(() => linesOf(log.data ?? []), [log.data])
  const shown = useMemo(() => narrowed(lines, level, search), [lines, level, search])
  return (
    <Stack gap="xs">
      <Group gap="xs" justify="space-between">
        <Group gap="xs">
          <SegmentedControl
            size="xs"
            aria-label="Level"
            data={LEVELS}
            value={level}
            onChange={(value) => set({ level: value === 'all' ? null : value })}
          />
          <TextInput
            size="xs"
            w={220}
            aria-label="Search the log"
            placeholder="Search the log"
            leftSection={<IconSearch size={14} aria-hidden />}
            value={search}
            onChange={(event) => set({ search: event.currentTarget.value })}
          />
          {isActive(job) && (
            <Switch
              size="xs"
              label="Follow"
              checked={follows}
              onChange={(event) => setFollows(event.currentTarget.checked)}
            />
          )}
        </Group>
        <Group gap={0}>
          <CopyButton text={logFile(shown)} />
          <Button
            variant="subtle"
            color="gray"
            leftSection={<IconDownload size={14} aria-hidden />}
            onClick={() => saveText(`${job.id}-log.txt`, logFile(shown))}
          >
            Download
          </Button>
        </Group>
      </Group>
      <Answer query={log}>
        {(all) => (
          <>
            <Lines lines={shown} follows={follows && isActive(job)} />
            <Text size="xs" className="quiet numbers" aria-live="polite">
              {shown.length === all.length
                ? `${formatCount(all.length)} lines`
                : `${formatCount(shown.length)} of ${formatCount(all.length)} lines`}
            </Text>
          </>
        )}
      </Answer>
    </Stack>
  )
}

function narrowed(lines: readonly Line[], level: string, search: string): readonly Line[] {
  const least = level === 'warn' || level === 'error' ? RANK[level] : 0
  const wanted = search.toLowerCase()
  return lines.filter((line) => RANK[line.level] >= least && line.text.toLowerCase().includes(wanted))
}

/** More lines than these are shown from the end: a browser should stay quick, and the file has all. */
const MOST = 5_000

interface LinesProps {
  readonly lines: readonly Line[]
  readonly follows: boolean
}

function Lines({ lines, follows }: LinesProps) {
  const box = useRef<HTMLDivElement>(null)
  const shown = lines.slice(-MOST)
  useEffect(() => {
    if (follows) box.current?.scrollTo({ top: box.current.scrollHeight })
  }, [follows, lines])
  if (shown.length === 0) return <Text size="sm">No line is like that.</Text>
  return (
    // A box that scrolls is moved by keys.
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex
    <section ref={box} className={classes['log']} aria-label="Log" tabIndex={0}>
      {lines.length > MOST && (
        <Text size="xs" className="quiet" p="xs">
          The last {formatCount(MOST)} lines. Download has all {formatCount(lines.length)}.
        </Text>
      )}
      <table>
        <tbody>
          {shown.map(({ seq, at, level, text }) => (
            <tr key={seq}>
              <td title={formatAbsolute(Date.parse(at))}>{clockOf(at)}</td>
              <td>
                <LevelMark level={level} />
              </td>
              <td>{text}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  )
}

function LevelMark({ level }: { readonly level: Level }) {
  if (level === 'info') return <span className="quiet">Info</span>
  return level === 'warn' ? <Mark tone="person">Warning</Mark> : <Mark tone="failed">Error</Mark>
}

const CLOCK = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' })

function clockOf(at: string): string {
  return CLOCK.format(Date.parse(at))
}
