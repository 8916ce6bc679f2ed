/** Texts of ISO 8601 and of databases as moments. */
import { fail } from '#sync/transforms/transform.ts'
import { existingDay } from '#sync/values/calendar.ts'
import { SECOND, type Moment } from '#sync/values/time-text.ts'
import { moved } from '#sync/transforms/time/moment.ts'

const SHAPE = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?\s*(Z|[+-]\d\d(?::?\d\d)?)?)?$/i

/** A date, or a date with a time; a zoned one must name its offset, any other must not. */
export function readIsoMoment(text: string, zoned: boolean): Moment {
  const [, year, month, date, hour = '0', minute = '0', second = '0', fraction = '', offset] = SHAPE.exec(text) ?? []
  if (year === undefined) return fail('the text is no date or time of ISO 8601; "parse_time" reads others')
  const day = Number(year) === 0 ? null : existingDay(Number(year), Number(month), Number(date))
  if (day === null || Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59)
    return fail('the calendar has no such day, or the clock no such time')
  if (/[1-9]/.test(fraction.slice(6))) return fail('the time is finer than a microsecond')
  if (zoned !== (offset !== undefined)) {
    return fail(
      zoned
        ? 'the text names no offset from UTC; "parse_time" takes a zone'
        : 'the text names an offset from UTC, which the type does not hold',
    )
  }
  const seconds = (Number(hour) * 60 + Number(minute)) * 60 + Number(second)
  const micros = seconds * SECOND + Number(fraction.slice(0, 6).padEnd(6, '0'))
  return moved({ day, micros }, BigInt(-offsetMinutes(offset)) * 60_000_000n)
}

function offsetMinutes(offset: string | undefined): number {
  if (offset === undefined || /^z$/i.test(offset)) return 0
  const digits = offset.slice(1).replace(':', '').padEnd(4, '0')
  const minutes = Number(digits.slice(0, 2)) * 60 + Number(digits.slice(2))
  if (minutes > 16 * 60) return fail('the offset is too large')
  return offset.startsWith('-') ? -minutes : minutes
}
