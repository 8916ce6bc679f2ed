import { useNavigate, useSearch } from '@tanstack/react-router'
import { draftOf, EMPTY_IMPORT } from '#features/dumps/import-draft.ts'
import { ImportForm } from '#features/dumps/import-form.tsx'
import { ImportPlan } from '#features/dumps/import-plan.tsx'
import { ImportReceiptView } from '#features/dumps/import-receipt.tsx'
import { RestoreSteps } from '#features/dumps/restore-steps.tsx'

/** From a file into a database. */
export function ImportPage() {
  const { dump = null, datasource = null, ...at } = useSearch({ from: '/shell/dumps/import' })
  const navigate = useNavigate({ from: '/dumps/import' })
  return (
    <RestoreSteps
      title="Import a dump"
      again="Import another one"
      at={at}
      go={(to) => void navigate({ search: to })}
      form={(asked, onPlanned) => (
        <ImportForm
          key={asked?.id ?? `${dump} ${datasource}`}
          first={asked === null ? { ...EMPTY_IMPORT, dump, datasource } : draftOf(asked)}
          onPlanned={onPlanned}
        />
      )}
      plan={{
        title: 'Plan of an import',
        state: 'The whole file is checked, and the target is looked at. Nothing is written before you agree.',
        change: 'Change what is imported',
        view: (job, found, onward) =>
          found.kind === 'import' ? <ImportPlan job={job} imported={found.imported} {...onward} /> : null,
      }}
      receipt={(job, found) =>
        found.kind === 'import' ? <ImportReceiptView job={job} imported={found.imported} /> : null
      }
    />
  )
}
