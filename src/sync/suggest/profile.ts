import type { Row, Value } from '#model/value.ts'

/** What the values of a column look like that most of its sample shares. */
export type Format =
  | 'email'
  | 'url'
  | 'uuid'
  | 'timestamp'
  | 'date'
  | 'local date'
  | 'epoch'
  | 'json'
  | 'php'
  | 'boolean'
  | 'integer'
  | 'decimal'
  | 'local decimal'
  | 'phone'
  | 'ip'
  | 'html'
  | 'slug'

/** What a sample says of a column. */
export interface Profile {
  /** Values that are not NULL. */
  readonly values: readonly string[]
  readonly nullShare: number
  readonly distinct: ReadonlySet<string>
  readonly format: Format | null
  readonly meanLength: number
  /** Few values that come again and again. */
  readonly isEnumeration: boolean
  readonly isUnique: boolean
}

const DATE = /^\d{4}-\d\d-\d\d$/
const TIMESTAMP = /^\d{4}-\d\d-\d\d[ T]\d\d:\d\d(?::\d\d(?:\.\d+)?)? ?(?:Z|[+-]\d\d(?::?\d\d)?)?$/

/** The first that fits is taken: from the most telling to the least. */
const FORMATS: readonly (readonly [Format, (text: string) => boolean])[] = [
  ['uuid', (text) => /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i.test(text)],
  ['email', (text) => /^[^\s@<>]+@[^\s@<>]+\.[^\s@<>]+$/.test(text)],
  ['url', (text) => /^(?:https?|ftp):\/\/\S+$/i.test(text)],
  ['timestamp', (text) => TIMESTAMP.test(text)],
  ['date', (text) => DATE.test(text)],
  ['local date', (text) => /^\d{1,2}[./-]\d{1,2}[./-](?:\d{4}|\d\d)(?: \d\d?:\d\d(?::\d\d)?)?$/.test(text)],
  ['ip', (text) => /^(?:\d{1,3}\.){3}\d{1,3}(?:\/\d+)?$/.test(text)],
  ['boolean', (text) => /^(?:t|f|true|false|yes|no|y|n|on|off|ja|nein)$/i.test(text)],
  ['epoch', (text) => /^(?:9\d{8}|[12]\d{9})(?:\d{3})?$/.test(text)],
  ['integer', (text) => /^[+-]?\d{1,19}$/.test(text)],
  ['decimal', (text) => /^[+-]?\d+\.\d+$/.test(text)],
  ['local decimal', (text) => /^[+-]?(?:\d{1,3}(?:[.,' ]\d{3})+|\d+)[.,]\d{1,4}$/.test(text)],
  ['php', (text) => /^(?:a:\d+:\{[\s\S]*\}|O:\d+:"[\s\S]*\}|s:\d+:"[\s\S]*";|b:[01];|i:-?\d+;)$/.test(text)],
  ['json', isJson],
  ['html', (text) => /<(?:p|div|a|br|h\d|ul|li|strong|em|img|!--)\b[^>]*>/i.test(text)],
  ['phone', (text) => /^\+?[\d\s()/.-]{7,20}$/.test(text) && text.replaceAll(/\D/g, '').length >= 7],
  ['slug', (text) => /^[a-z0-9]+(?:-[a-z0-9]+)+$/.test(text)],
]

function isJson(text: string): boolean {
  if (!/^\s*[[{]/.test(text)) return false
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

/** Characters of a value that are looked at. */
const LOOKED_AT = 2_000

export function profileColumn(rows: readonly Row[], at: number): Profile {
  const all = rows.map((row) => textOf(row[at] ?? null))
  const values = all.filter((value) => value !== null)
  const looked = values.map((value) => value.slice(0, LOOKED_AT))
  const distinct = new Set(looked.map(plain).filter((value) => value !== ''))
  return {
    values: looked,
    nullShare: all.length === 0 ? 0 : 1 - values.length / all.length,
    distinct,
    format: formatOf(looked.filter((value) => value.trim() !== '')),
    meanLength: looked.reduce((total, value) => total + value.length, 0) / Math.max(1, looked.length),
    isEnumeration: values.length >= 8 && distinct.size <= Math.max(2, values.length / 4) && distinct.size <= 20,
    isUnique: values.length >= 3 && distinct.size === values.length,
  }
}

export function textOf(value: Value): string | null {
  return value === null || typeof value === 'string' ? value : Buffer.from(value).toString('utf8')
}

/** A value as it is compared between two columns: without case, space around it and zeros behind the point. */
export function plain(text: string): string {
  const bare = text.trim().toLowerCase()
  return /^[+-]?\d+\.\d*0$/.test(bare) ? bare.replace(/\.?0+$/, '') : bare
}

function formatOf(values: readonly string[]): Format | null {
  if (values.length === 0) return null
  const found = FORMATS.find(([, fits]) => {
    let missed = 0
    return values.every((value) => fits(value.trim()) || ++missed <= values.length * 0.1)
  })
  return found?.[0] ?? null
}

/** Formats that say the same of what a column is for, and differ in how it is written down. */
const KIN: readonly (readonly Format[])[] = [
  ['timestamp', 'date', 'local date', 'epoch'],
  ['integer', 'decimal', 'local decimal', 'epoch'],
  ['boolean', 'integer'],
  ['json', 'php'],
]

/** Formats that alone make two columns likely to be the same. */
const TELLING: ReadonlySet<Format> = new Set(['email', 'url', 'uuid', 'json', 'php', 'phone', 'ip', 'html', 'slug'])

/** What two samples say for a pair (above 0) or against it (below), -1 to 1, and why; null where they say nothing. */
export function compareProfiles(a: Profile, b: Profile): { readonly score: number; readonly reason: string } | null {
  if (a.values.length < 3 || b.values.length < 3) return null
  const shared = [...a.distinct].filter((value) => b.distinct.has(value) && value.length > 0)
  const smaller = Math.min(a.distinct.size, b.distinct.size)
  const overlap = smaller === 0 ? 0 : shared.length / smaller
  // Small numbers and the words for yes and no are in many columns that have nothing to do with one another.
  const weighty = shared.filter((value) => value.length >= 3 && !/^(?:true|false|yes|-?\d{1,4})$/.test(value))
  if (overlap >= 0.5 && weighty.length >= Math.min(3, smaller)) {
    return { score: Math.min(1, 0.5 + overlap / 2), reason: `${percent(overlap)} of the sampled values are in both` }
  }
  if (a.format !== null && a.format === b.format) {
    if (TELLING.has(a.format)) return { score: 0.5, reason: `both hold ${NAMES[a.format]}` }
    return { score: 0.1, reason: `both hold ${NAMES[a.format]}` }
  }
  if (a.format !== null && b.format !== null) {
    const [one, other] = [a.format, b.format]
    if (KIN.some((group) => group.includes(one) && group.includes(other))) return null
    return { score: -0.6, reason: `one holds ${NAMES[one]}, the other ${NAMES[other]}` }
  }
  const telling = [a.format, b.format].find((format) => format !== null && format !== 'slug' && format !== 'html')
  if (telling) return { score: -0.4, reason: `only one of them holds ${NAMES[telling]}` }
  if (a.isEnumeration && b.isEnumeration && shared.length === 0) {
    return { score: -0.1, reason: 'both hold few values, none of them the same' }
  }
  if (a.isEnumeration !== b.isEnumeration) return { score: -0.15, reason: 'only one of them holds few values' }
  const ratio = Math.max(a.meanLength, 1) / Math.max(b.meanLength, 1)
  if (ratio > 12 || ratio < 1 / 12) return { score: -0.3, reason: 'the lengths of their values are far apart' }
  return null
}

export function percent(share: number): string {
  return `${Math.round(share * 100)} %`
}

const NAMES: Readonly<Record<Format, string>> = {
  email: 'e-mail addresses',
  url: 'URLs',
  uuid: 'UUIDs',
  timestamp: 'timestamps',
  date: 'dates',
  'local date': 'dates as people write them',
  epoch: 'seconds since 1970',
  json: 'JSON',
  php: 'serialized PHP',
  boolean: 'words for true and false',
  integer: 'whole numbers',
  decimal: 'decimal numbers',
  'local decimal': 'numbers as people write them',
  phone: 'phone numbers',
  ip: 'IP addresses',
  html: 'HTML',
  slug: 'slugs',
}
