/** How long a key is good for, in days. */
export type Lifetime = '7' | '30' | '90' | '365' | 'never'

export const LIFETIMES: readonly { readonly value: Lifetime; readonly label: string }[] = [
  { value: '7', label: 'In 7 days' },
  { value: '30', label: 'In 30 days' },
  { value: '90', label: 'In 90 days' },
  { value: '365', label: 'In a year' },
  { value: 'never', label: 'Never' },
]

const DAY_MS = 86_400_000

/** When it ends, to the minute, so that what is shown stays while somebody looks; `now` in milliseconds of the epoch. */
export function expiryOf(lifetime: Lifetime, now: number): string | null {
  if (lifetime === 'never') return null
  const end = Math.ceil((now + Number(lifetime) * DAY_MS) / 60_000) * 60_000
  return new Date(end).toISOString().replace('.000', '')
}
