import { Button, Code, Group, Text } from '@mantine/core'
import { useIsUnscoped, useMay } from '#app/session.ts'
import { draftOf, requestOf } from '#features/datasources/connection-draft.ts'
import { otherMeansToChange } from '#features/datasources/other-means.ts'
import { useChange, type Datasource } from '#features/datasources/queries.ts'
import { CopyAs } from '#ui/copy.tsx'
import { Notice } from '#ui/notice.tsx'
import { Problem } from '#ui/problem.tsx'

/** Of what a run would write to, that which it may not write to yet. */
export function readOnlyOf(written: readonly (Datasource | undefined)[]): readonly Datasource[] {
  return written.filter((one) => one !== undefined).filter(({ writable }) => !writable)
}

interface WayOutProps {
  /** What came back; null: nothing was refused. */
  readonly error: { readonly code: string } | Error | null
  /** What would have been written. */
  readonly of: readonly (Datasource | undefined)[]
}

/** Where something was refused because a run may not write, what lets it. */
export function WayOut({ error, of }: WayOutProps) {
  if (error === null || !('code' in error) || error.code !== 'target_not_writable') return null
  return readOnlyOf(of).map((one) => <LetWrite key={one.id} to={one} />)
}

/** Said before somebody tries: a run may not write to this database yet; whoever may changes that on the spot. */
export function LetWrite({ to }: { readonly to: Datasource }) {
  const isAdmin = useMay('admin')
  const mayChange = useIsUnscoped() && isAdmin
  const request = { ...requestOf(draftOf(to), to.kind), writable: true }
  const change = useChange(to, ({ name }) => `Syncs may write to ${name} from now on.`)
  if (to.writable) return null
  const cannot = whyNot(to, mayChange)
  return (
    <Notice tone="person" title={`${to.name} is read-only: no run may write to it yet`}>
      {cannot === null ? (
        <Group gap="xs">
          <Button variant="default" loading={change.isPending} onClick={() => change.mutate(request)}>
            Let syncs write to {to.name}
          </Button>
          <CopyAs {...otherMeansToChange(to.id, request)} />
          {to.project_url !== null && (
            <Text size="sm">
              Before its first run the project also runs what <Code>syncline datasources prepare</Code> prints.
            </Text>
          )}
        </Group>
      ) : (
        <Text size="sm">{cannot}</Text>
      )}
      {change.error !== null && <Problem error={change.error} />}
    </Notice>
  )
}

/** Why it cannot be changed here; null: it can. */
function whyNot({ origin }: Datasource, mayChange: boolean): string | null {
  if (origin === 'environment')
    return 'What the environment declares is only read: add it as a datasource to write to it.'
  return mayChange ? null : 'An admin can let syncs write to it, in its settings.'
}
