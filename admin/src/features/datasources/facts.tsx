import { Group } from '@mantine/core'
import { IconEye, IconLock, IconPencil } from '@tabler/icons-react'
import type { Datasource } from '#features/datasources/queries.ts'
import { Mark } from '#ui/mark.tsx'

const PROVIDERS: readonly (readonly [ending: string, name: string])[] = [
  ['.rds.amazonaws.com', 'Amazon RDS'],
  ['.postgres.database.azure.com', 'Azure'],
  ['.psdb.cloud', 'PlanetScale'],
  ['.ondigitalocean.com', 'DigitalOcean'],
]

const KINDS: Readonly<Record<string, string>> = {
  postgres: 'PostgreSQL',
  supabase: 'Supabase',
  neon: 'Neon',
  mysql: 'MySQL or MariaDB',
}

/** Whose database it is, by its kind and its address. */
export function providerOf({
  kind,
  host,
  project_url: project,
}: Pick<Datasource, 'kind' | 'host' | 'project_url'>): string {
  if (project !== null) return 'Supabase, by REST'
  return PROVIDERS.find(([ending]) => host.toLowerCase().endsWith(ending))?.[1] ?? KINDS[kind] ?? kind
}

export function serverOf({ project_url: project, host, port, database }: Datasource): string {
  return project ?? `${host}:${port}/${database}`
}

/** Whether syncs may write to it, and whether somebody has to say so a second time. */
export function Access({ of: one }: { readonly of: Datasource }) {
  if (!one.writable) {
    return (
      <Mark tone="resting" icon={IconEye} about="Syncs only read it, as long as nobody lets them write.">
        Read only
      </Mark>
    )
  }
  return (
    <Group gap="sm" wrap="nowrap">
      <Mark tone="running" icon={IconPencil} about="Syncs may write to it.">
        Writable
      </Mark>
      {one.protected && (
        <Mark tone="person" icon={IconLock} about="Each write to it needs the name of the datasource, typed out.">
          Protected
        </Mark>
      )}
    </Group>
  )
}
