import { AppError } from '#model/errors.ts'

/** Nothing is written that nobody agreed to. `look`: what shows it first. */
export function notAgreed({ asks = true, look = '--dry-run' }: { asks?: boolean; look?: string } = {}): AppError {
  const nobody = asks ? ', and there is nobody here to ask' : ''
  return new AppError('target_not_writable', `Nobody has agreed to writing${nobody}.`, {
    hint: `Look at what would be done with ${look}, then add --yes.`,
  })
}
