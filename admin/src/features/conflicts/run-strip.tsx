import { CloseButton, Group, Text } from '@mantine/core'
import { useQueryClient } from '@tanstack/react-query'
import { useEffect } from 'react'
import { isActive, useLiveJob } from '#features/jobs/queries.ts'
import { JobStatus } from '#ui/mark.tsx'
import classes from './conflicts.module.css'
import { TextLink } from '#ui/link.tsx'

/** The run that carries decisions out, as it goes; once it has ended, the conflicts are looked at again. */
export function RunStrip({ id, onClose }: { readonly id: string; readonly onClose: () => void }) {
  const client = useQueryClient()
  const job = useLiveJob(id).data
  const ended = job !== undefined && !isActive(job)
  useEffect(() => {
    if (ended) void client.invalidateQueries({ queryKey: ['conflicts'] })
  }, [ended, client])
  return (
    <Group component="output" gap="sm" className={classes['strip']}>
      {job !== undefined && <JobStatus status={job.status} />}
      <Text size="sm">
        {ended ? 'The run that carries out decisions has ended:' : 'A run carries out what was decided:'}{' '}
        <TextLink to="/jobs/$id" params={{ id: id }} size="sm" underline="always" className="mono">
          {id}
        </TextLink>
      </Text>
      <CloseButton size="sm" aria-label="Do not show this run" onClick={onClose} ml="auto" />
    </Group>
  )
}
