import { useNavigate, useSearch } from '@tanstack/react-router'
import { copyDraftOf, EMPTY_COPY } from '#features/dumps/copy-draft.ts'
import { CopyForm } from '#features/dumps/copy-form.tsx'
import { CopyPlan } from '#features/dumps/copy-plan.tsx'
import { CopyReceiptView } from '#features/dumps/copy-receipt.tsx'
import { RestoreSteps } from '#features/dumps/restore-steps.tsx'

/** From a database into another one, with no file between. */
export function CopyPage() {
  const { source = null, target = null, ...at } = useSearch({ from: '/shell/dumps/copy' })
  const navigate = useNavigate({ from: '/dumps/copy' })
  return (
    <RestoreSteps
      title="Copy a database"
      again="Copy another one"
      at={at}
      go={(to) => void navigate({ search: to })}
      form={(asked, onPlanned) => (
        <CopyForm
          key={asked?.id ?? `${source} ${target}`}
          first={asked === null ? { ...EMPTY_COPY, source, target } : copyDraftOf(asked)}
          onPlanned={onPlanned}
        />
      )}
      plan={{
        title: 'Plan of a copy',
        state: 'Both databases are looked at. Nothing is written before you agree.',
        change: 'Change what is copied',
        view: (job, found, onward) =>
          found.kind === 'copy' ? <CopyPlan job={job} copied={found.copied} {...onward} /> : null,
      }}
      receipt={(job, found) => (found.kind === 'copy' ? <CopyReceiptView job={job} copied={found.copied} /> : null)}
    />
  )
}
