import { useDebouncedValue } from '@mantine/hooks'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { api, body, type Schemas } from '#api/client.ts'

const TYPING_MS = 200

/** A schedule as a document would have it; with neither, none. */
interface Draft {
  readonly sync_interval?: number | undefined
  readonly schedule?: Schemas['CronSchedule'] | undefined
}

/** What a schedule that is being typed would come to, or why it is none. */
export function usePreview(fields: Draft, enabled: boolean) {
  const [asked] = useDebouncedValue(JSON.stringify(fields), TYPING_MS)
  return useQuery({
    queryKey: ['schedules', 'preview', asked],
    queryFn: () =>
      body(api.POST('/api/v1/schedules/preview', { body: JSON.parse(asked) as Schemas['SchedulePreviewRequest'] })),
    enabled,
    placeholderData: keepPreviousData,
    retry: false,
    meta: { shown: true },
  })
}
