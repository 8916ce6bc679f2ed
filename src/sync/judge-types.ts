import { describeType, isSpatial, judgePair, type ColumnType, type Form } from '#model/column-type.ts'
import { fitValue, type Fit } from './fit-value.ts'

/**
 * What can be said of a pair of column types before a row is read.
 * `lossless`: every value is carried as it is, and both sides write it in this form.
 * `checked`: lossy unless each value fits. Each is looked at on its way, and a row with one that does not fit is set aside.
 * `impossible`: no value gets across by itself; `hint` says what would carry it.
 */
export type Judgement =
  | {
      readonly verdict: 'lossless'
      readonly form: Form
      /** What the server of the target refuses by itself, in words; null where it takes every value. */
      readonly refuses: string | null
    }
  | { readonly verdict: 'checked'; readonly reason: string; readonly fit: Fit }
  | { readonly verdict: 'impossible'; readonly reason: string; readonly hint: string }

export type Verdict = Judgement['verdict']

/** The one judgement of a pair of column types. Pure. */
export function judgeTypes(source: ColumnType, target: ColumnType): Judgement {
  const carriage = judgePair(source, target)
  if (carriage.ok) return { verdict: 'lossless', form: carriage.form, refuses: carriage.refuses ?? null }
  const fit = fitValue(source, target)
  if (!('reason' in fit)) return { verdict: 'checked', reason: carriage.reason, fit }
  const reason = `${describeType(source)} does not become ${describeType(target)} by itself`
  return { verdict: 'impossible', reason, hint: nextStep(source, target) }
}

/** Which transform carries the values, as a mapping names it. */
function nextStep(source: ColumnType, target: ColumnType): string {
  const step = transformFor(source, target)
  return step === null
    ? 'Give the column of the target the type of the source or text, or leave the field out'
    : `Map the field with the transform ${step}`
}

function transformFor(source: ColumnType, target: ColumnType): string | null {
  if (isSpatial(source) && target.kind === 'text') return 'geometry_to_wkt'
  if (isSpatial(target) && source.kind === 'text') return 'wkt_to_geometry, which takes the SRID'
  const kinds = `${source.kind} to ${target.kind}`
  if (source.kind === 'timestamp' && target.kind === 'timestamp') {
    return target.zoned ? 'from_local_time, which names the time zone' : 'to_local_time, which names the time zone'
  }
  const known = TRANSFORMS[kinds]
  if (known !== undefined) return known
  if (source.kind === 'text' || source.kind === 'padded text') return FROM_TEXT[target.kind] ?? null
  return NUMBERS.has(source.kind) && NUMBERS.has(target.kind) ? 'cast' : null
}

const TRANSFORMS: Readonly<Record<string, string>> = {
  'timestamp to date': 'date_of',
  'timestamp to time': 'time_of',
  'timestamp to integer': 'to_epoch',
  'timestamp to decimal': 'to_epoch',
  'integer to timestamp': 'from_epoch',
  'decimal to timestamp': 'from_epoch',
  'interval to integer': 'interval_to_seconds',
  'interval to decimal': 'interval_to_seconds',
  'integer to interval': 'seconds_to_interval',
  'decimal to interval': 'seconds_to_interval',
  'boolean to integer': 'cast',
  'integer to boolean': 'cast',
  'uuid to bytes': 'uuid_to_bytes',
  'bytes to uuid': 'bytes_to_uuid',
  'array to json': 'array_to_json',
  'json to array': 'json_to_array',
}

const FROM_TEXT: Readonly<Partial<Record<ColumnType['kind'], string>>> = {
  integer: 'parse_number',
  decimal: 'parse_number',
  float: 'parse_number',
  boolean: 'parse_boolean',
  timestamp: 'parse_time',
  date: 'parse_time',
  time: 'parse_time',
  uuid: 'parse_uuid',
  json: 'parse_json',
  bytes: 'encode_text',
  array: 'split',
}

const NUMBERS: ReadonlySet<ColumnType['kind']> = new Set(['integer', 'decimal', 'float'])
