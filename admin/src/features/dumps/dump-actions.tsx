import { ActionIcon, Menu, Text } from '@mantine/core'
import { IconDatabaseImport, IconDotsVertical, IconDownload, IconTestPipe, IconTrash } from '@tabler/icons-react'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useState } from 'react'
import { api, body } from '#api/client.ts'
import { deleteMeans, fileOf } from '#features/dumps/means.ts'
import { dumpQuery, type Dump } from '#features/dumps/queries.ts'
import { formatBytes } from '#lib/format.ts'
import { Confirm } from '#ui/confirm.tsx'
import { CopyAs } from '#ui/copy.tsx'
import { say } from '#ui/say.ts'
import classes from './dumps.module.css'

/** What can be done with a dump, at the end of its line. */
export function DumpMenu({ dump }: { readonly dump: Dump }) {
  const navigate = useNavigate()
  const [deleting, setDeleting] = useState(false)
  return (
    <>
      <Menu position="bottom-end">
        <Menu.Target>
          <ActionIcon variant="subtle" color="gray" aria-label={`Actions of ${dump.file}`}>
            <IconDotsVertical size={16} />
          </ActionIcon>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item
            leftSection={<IconDatabaseImport size={14} aria-hidden />}
            onClick={() => void navigate({ to: '/dumps/import', search: { dump: dump.id } })}
          >
            Import
          </Menu.Item>
          <Menu.Item
            leftSection={<IconTestPipe size={14} aria-hidden />}
            onClick={() => void navigate({ to: '/dumps/drill', search: { dump: dump.id } })}
          >
            Try a restore
          </Menu.Item>
          <Menu.Item component="a" href={fileOf(dump.id)} download leftSection={<IconDownload size={14} aria-hidden />}>
            Download
          </Menu.Item>
          <Menu.Item leftSection={<IconTrash size={14} aria-hidden />} onClick={() => setDeleting(true)}>
            Delete
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      {deleting && <DeleteDump dump={dump} onDeleted={() => Promise.resolve()} onClose={() => setDeleting(false)} />}
    </>
  )
}

interface DeleteDumpProps {
  readonly dump: Dump
  /** What was looked at is gone: away from it, before anybody asks for it again. */
  readonly onDeleted: () => Promise<void>
  readonly onClose: () => void
}

/** Asks before a dump goes. */
export function DeleteDump({ dump, onDeleted, onClose }: DeleteDumpProps) {
  const client = useQueryClient()
  const remove = useMutation({
    meta: { shown: true },
    mutationFn: () => body(api.DELETE('/api/v1/dumps/{id}', { params: { path: { id: dump.id } } })),
    onSuccess: async () => {
      onClose()
      await onDeleted()
      say(`${dump.file} is deleted.`)
      client.removeQueries({ queryKey: dumpQuery(dump.id).queryKey })
      await client.invalidateQueries({ queryKey: ['dumps'] })
    },
  })
  return (
    <Confirm
      title="Delete the dump"
      verb="Delete"
      pending={remove.isPending}
      error={remove.error}
      beside={<CopyAs {...deleteMeans(dump)} />}
      onConfirm={() => remove.mutate()}
      onClose={onClose}
    >
      <Text size="sm" className={`mono ${classes['digest']}`}>
        {dump.file}
      </Text>
      <Text size="sm" mt="xs">
        Its {formatBytes(dump.bytes)} are removed from the disk of the service and do not come back. Databases stay as
        they are.
        {dump.origin === 'backup' && ' It is the way back from an import: what that replaced is in no other place.'}
      </Text>
    </Confirm>
  )
}
