import { useDebouncedValue } from '@mantine/hooks'
import { useQuery } from '@tanstack/react-query'
import type { Schemas } from '#api/client.ts'
import { isReachable, urlOf, type DatasourceDraft } from '#features/datasources/connection-draft.ts'
import { addressQuery } from '#features/datasources/queries.ts'

/** While somebody types, an address is asked about this long after the last letter. */
const PAUSE_MS = 400

/** What is known of the address that stands in a form, as soon as it is enough of one. */
export function useAddress(draft: DatasourceDraft): Schemas['ParsedUrl'] | undefined {
  const [url] = useDebouncedValue(draft.way === 'database' && isReachable(draft) ? urlOf(draft) : '', PAUSE_MS)
  const { data } = useQuery(addressQuery(url))
  return url === '' ? undefined : data
}
