import { Button, FileButton, Group, Progress, Stack, Text } from '@mantine/core'
import { IconUpload } from '@tabler/icons-react'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useEffect, useRef, useState, type DragEvent } from 'react'
import { uploadDump } from '#api/client.ts'
import { dumpQuery, type Dump } from '#features/dumps/queries.ts'
import { uploadMeans } from '#features/dumps/means.ts'
import { formatBytes } from '#lib/format.ts'
import { CopyAs } from '#ui/copy.tsx'
import { Problem } from '#ui/problem.tsx'
import { Unsaved } from '#ui/unsaved.tsx'
import classes from './dumps.module.css'

interface UploadFileProps {
  readonly onUploaded: (dump: Dump) => void
  /** Told when a file is on its way, and when it no longer is. */
  readonly onSending?: (isSending: boolean) => void
}

/** Takes a file of whoever looks at the page into the directory of dumps, however large it is. */
export function UploadFile({ onUploaded, onSending }: UploadFileProps) {
  const client = useQueryClient()
  const [over, setOver] = useState(false)
  const [sent, setSent] = useState(0)
  const ending = useRef<AbortController | null>(null)
  const arrived = useRef(false)
  const upload = useMutation({
    meta: { shown: true },
    mutationFn: (file: File) => {
      const ended = new AbortController()
      ending.current = ended
      arrived.current = false
      setSent(0)
      return uploadDump(file, (progress) => setSent(progress.sent), ended.signal)
    },
    onSuccess: async (dump) => {
      client.setQueryData(dumpQuery(dump.id).queryKey, dump)
      await client.invalidateQueries({ queryKey: ['dumps'] })
      arrived.current = true
      onUploaded(dump)
    },
  })
  useEffect(() => onSending?.(upload.isPending), [onSending, upload.isPending])
  // Whoever has left would otherwise be led to a file that they no longer wait for.
  useEffect(() => () => ending.current?.abort(new Error('The page was left before the file had arrived.')), [])
  const file = upload.variables
  const take = (one: File | null | undefined): void => {
    if (one !== null && one !== undefined && !upload.isPending) upload.mutate(one)
  }
  if (upload.isPending && file !== undefined) {
    return (
      <Sending
        file={file}
        sent={sent}
        onCancel={() => ending.current?.abort(new Error('The upload was cancelled.'))}
        hasArrived={() => arrived.current}
      />
    )
  }
  return (
    <Stack gap="xs">
      <Stack
        gap="xs"
        className={classes['drop']}
        data-over={over || undefined}
        onDragOver={(event: DragEvent) => {
          event.preventDefault()
          setOver(true)
        }}
        onDragLeave={() => setOver(false)}
        onDrop={(event: DragEvent) => {
          event.preventDefault()
          setOver(false)
          take(event.dataTransfer.files[0])
        }}
      >
        <Text size="sm">
          A file of this program or of pg_dump in its plain format, packed by gzip or zstd or not. It is checked as a
          whole before it is imported.
        </Text>
        <Group gap="xs">
          <FileButton onChange={take}>
            {(props) => (
              <Button {...props} variant="default" leftSection={<IconUpload size={14} aria-hidden />}>
                Choose a file
              </Button>
            )}
          </FileButton>
          <Text size="sm" className="quiet">
            or drop one here
          </Text>
          <CopyAs {...uploadMeans('dump.sql.zst')} />
        </Group>
      </Stack>
      {upload.error !== null && <Problem error={upload.error} />}
    </Stack>
  )
}

interface SendingProps {
  readonly file: File
  readonly sent: number
  readonly onCancel: () => void
  readonly hasArrived: () => boolean
}

function Sending({ file: { name, size }, sent, onCancel, hasArrived }: SendingProps) {
  const percent = size === 0 ? 100 : Math.floor((100 * sent) / size)
  return (
    <Stack gap="xs" className={classes['drop']}>
      <Group justify="space-between" gap="xs">
        <Text size="sm" className="mono">
          {name}
        </Text>
        <Text size="sm" className="numbers">
          {formatBytes(sent)} of {formatBytes(size)}, {percent} %
        </Text>
      </Group>
      <Progress value={percent} color="var(--tone-running)" transitionDuration={100} aria-label={`Upload of ${name}`} />
      <span className="sr-only" aria-live="polite">
        {`${Math.floor(percent / 10) * 10} % of ${name} are sent`}
      </span>
      <Group justify="flex-end">
        <Button variant="default" onClick={onCancel}>
          Cancel the upload
        </Button>
      </Group>
      <Unsaved unsaved stays={hasArrived}>
        {`${name} is on its way to the service, and would have to be sent again.`}
      </Unsaved>
    </Stack>
  )
}
