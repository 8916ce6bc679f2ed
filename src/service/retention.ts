/**
 * For how long things are kept and in how much room: what the environment says comes first, then what somebody has set, then
 * the default.
 */
import type { LimitSource, RetentionSettings, RetentionTools } from '#api/tools.ts'
import { findRetention, keepRetention, type StoredRetention } from '#control/retention-settings.ts'
import type { Store } from '#control/store.ts'
import {
  DEFAULT_RETENTION,
  LEAST_RETENTION,
  MOST_DAYS,
  RETAINED,
  SPACES,
  type Retained,
  type Retention,
  type Space,
} from '#model/retention.ts'
import { SETTINGS, type Config } from './config.ts'

const DAYS = {
  jobs: 'jobRetentionDays',
  history: 'historyRetentionDays',
  audit: 'auditRetentionDays',
  dumps: 'dumpRetentionDays',
} as const satisfies Readonly<Record<Retained, keyof Config>>

const BYTES = {
  dumps: 'dumpMaxBytes',
  free: 'dumpFreeBytes',
} as const satisfies Readonly<Record<Space, keyof Config>>

type Key = (typeof DAYS)[Retained] | (typeof BYTES)[Space]

export type RetentionConfig = Pick<Config, Key | 'given'>

interface RetentionParts {
  readonly store: Store
  readonly config: RetentionConfig
}

interface Limit {
  /** What holds now. */
  readonly value: number
  readonly source: LimitSource
  readonly variable: string
  readonly set: number | null
}

function limitOf(
  config: RetentionConfig,
  key: Key,
  { set, byDefault }: { set?: number | undefined; byDefault: number },
): Limit {
  const { name: variable } = SETTINGS[key]
  const known = { variable, set: set ?? null }
  if (config.given.has(variable)) return { ...known, value: config[key], source: 'environment' }
  return set === undefined
    ? { ...known, value: byDefault, source: 'default' }
    : { ...known, value: set, source: 'store' }
}

function daysOf(config: RetentionConfig, stored: StoredRetention | null, of: Retained): Limit {
  return limitOf(config, DAYS[of], { set: stored?.days[of], byDefault: DEFAULT_RETENTION.days[of] })
}

function bytesOf(config: RetentionConfig, stored: StoredRetention | null, of: Space): Limit {
  return limitOf(config, BYTES[of], { set: stored?.bytes[of], byDefault: DEFAULT_RETENTION.bytes[of] })
}

/** What holds now. */
export async function readRetention({ store, config }: RetentionParts): Promise<Retention> {
  const stored = await findRetention(store)
  const days = (of: Retained): number => daysOf(config, stored, of).value
  const bytes = (of: Space): number => bytesOf(config, stored, of).value
  return {
    days: { jobs: days('jobs'), history: days('history'), audit: days('audit'), dumps: days('dumps') },
    bytes: { dumps: bytes('dumps'), free: bytes('free') },
  }
}

export function retentionTools({ store, config }: RetentionParts): RetentionTools {
  const show = async (): Promise<RetentionSettings> => {
    const stored = await findRetention(store)
    return {
      entries: RETAINED.map((of) => {
        const { value: days, ...limit } = daysOf(config, stored, of)
        const [byDefault, least] = [DEFAULT_RETENTION.days[of], LEAST_RETENTION.days[of]]
        return { of, days, ...limit, byDefault, least, most: MOST_DAYS }
      }),
      space: SPACES.map((of) => {
        const { value: bytes, ...limit } = bytesOf(config, stored, of)
        const [byDefault, least] = [DEFAULT_RETENTION.bytes[of], LEAST_RETENTION.bytes[of]]
        return { of, bytes, ...limit, byDefault, least, most: Number.MAX_SAFE_INTEGER }
      }),
      updatedAt: stored?.updatedAt ?? null,
      updatedBy: stored?.updatedBy ?? null,
    }
  }
  return {
    show,
    set: async (choice, actor) => {
      await keepRetention(store, choice, actor)
      return show()
    },
  }
}
