import type { Principal } from '#api/security/principal.ts'
import { isFresh } from '#api/security/principal.ts'
import type { ApiTools } from '#api/tools.ts'
import { AppError } from '#model/errors.ts'

/**
 * Lets something pass that cannot be taken back: the key was entered a short while ago, and the name of what it is done
 * to was typed (S11).
 * @throws AppError `confirmation_needed`
 */
export function requireConfirmation(
  { store }: ApiTools,
  principal: Principal,
  { name, confirm }: { name: string; confirm: string | undefined },
): void {
  requireFresh({ store }, principal)
  if (confirm === name) return
  throw new AppError('confirmation_needed', `This needs the name ${name} in the field confirm.`, {
    hint: `Send confirm with the value ${name}, if this is what is meant.`,
  })
}

/** @throws AppError `confirmation_needed` where the key was entered too long ago */
export function requireFresh({ store }: Pick<ApiTools, 'store'>, principal: Principal): void {
  if (isFresh(principal, store.clock.now())) return
  throw new AppError('confirmation_needed', 'The key was entered more than 10 minutes ago.', {
    hint: 'Enter the key again (POST /api/v1/session), then repeat the request.',
  })
}
