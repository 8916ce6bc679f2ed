/** Times carried between zones, and dates and times of day taken out of them. */
import { z } from 'zod'

import type { ColumnType } from '#model/column-type.ts'

import { ofText, refuse, type Transform } from '#sync/transforms/transform.ts'
import { DATE, local, LOCAL, moment as moments, same, TIME, ZONED, zoned } from '#sync/transforms/types.ts'

import { type Moment } from '#sync/values/time-text.ts'
import { isInfinite, readMoment, writeMoment } from './moment.ts'

import { gap, overlap, toUtc, toWall, zoneName } from './zone.ts'

/** A function of moments as one of texts; the infinities stay what they are. */
function overMoments(type: ColumnType, change: (moment: Moment) => Moment): (value: string) => string {
  return (value) => (isInfinite(value) ? value : writeMoment(change(readMoment(value)), type))
}

const toLocal = ofText({
  name: 'to_local_time',
  group: 'Time',
  summary: 'Gives what the clocks of a zone show at a moment: timestamptz to timestamp.',
  args: z.strictObject({ zone: zoneName }),
  accepts: zoned,
  result: ([type]) => (type?.kind === 'timestamp' ? { ...type, zoned: false } : LOCAL),
  loses: ({ zone }) => (zone === 'UTC' ? null : 'which of two moments it was when the clocks are put back'),
  inverse: ({ zone }) =>
    zone === 'UTC'
      ? { name: 'from_local_time', args: { zone } }
      : refuse('a time that the clocks show twice names two moments'),
  example: {
    args: { zone: 'America/New_York' },
    types: [ZONED],
    input: ['2025-07-04 18:05:00+00'],
    output: '2025-07-04 14:05:00',
  },
  make: ({ zone }) => overMoments(LOCAL, toWall(zone)),
})

const fromLocal = ofText({
  name: 'from_local_time',
  group: 'Time',
  summary: 'Gives the moment at which the clocks of a zone show a time: timestamp to timestamptz.',
  args: z.strictObject({ zone: zoneName, gap, overlap }),
  accepts: local,
  result: ([type]) => (type?.kind === 'timestamp' ? { ...type, zoned: true } : ZONED),
  loses: ({ gap: skipped }) => (skipped === 'reject' ? null : 'times that the clocks skip'),
  inverse: ({ zone, gap: skipped }) =>
    skipped === 'reject' ? { name: 'to_local_time', args: { zone } } : refuse('skipped times are moved'),
  example: {
    args: { zone: 'Europe/Berlin' },
    types: [LOCAL],
    input: ['2025-12-24 18:00:00'],
    output: '2025-12-24 17:00:00+00',
  },
  make: (args) => overMoments(ZONED, toUtc(args.zone, args)),
})

const convertZone = ofText({
  name: 'convert_zone',
  group: 'Time',
  summary: 'Carries wall times from the clocks of one zone to those of another: timestamp to timestamp.',
  args: z.strictObject({ from: zoneName, to: zoneName, gap, overlap }),
  accepts: local,
  result: same,
  loses: 'which of two moments it was when the clocks are put back',
  inverse: 'a time that the clocks show twice names two moments',
  example: {
    args: { from: 'Asia/Tokyo', to: 'Europe/London' },
    types: [LOCAL],
    input: ['2025-07-04 09:00:00'],
    output: '2025-07-04 01:00:00',
  },
  make: (args) => {
    const utc = toUtc(args.from, args)
    const wall = toWall(args.to)
    return overMoments(LOCAL, (moment) => wall(utc(moment)))
  },
})

const dateOnly = ofText({
  name: 'date_of',
  group: 'Time',
  summary: 'Takes the date of a timestamp, in a zone where it has one.',
  args: z.strictObject({
    zone: zoneName.default('UTC').meta({ description: 'Whose calendar; for timestamps with time zone.' }),
  }),
  accepts: moments,
  result: ([type], { zone }) =>
    type?.kind === 'timestamp' && !type.zoned && zone !== 'UTC'
      ? refuse('a timestamp without time zone has no other date elsewhere')
      : DATE,
  loses: 'the time of day',
  inverse: 'the time of day is not kept',
  example: { args: { zone: 'Asia/Tokyo' }, types: [ZONED], input: ['2025-07-04 18:05:00+00'], output: '2025-07-05' },
  make: ({ zone }) => overMoments(DATE, zone === 'UTC' ? (moment) => moment : toWall(zone)),
})

const timeOnly = ofText({
  name: 'time_of',
  group: 'Time',
  summary: 'Takes the time of day of a timestamp, in a zone where it has one.',
  args: z.strictObject({
    zone: zoneName.default('UTC').meta({ description: 'Whose clocks; for timestamps with time zone.' }),
  }),
  accepts: moments,
  result: ([type], { zone }) =>
    type?.kind === 'timestamp' && !type.zoned && zone !== 'UTC'
      ? refuse('a timestamp without time zone has no other time elsewhere')
      : TIME,
  loses: 'the date',
  inverse: 'the date is not kept',
  example: { types: [LOCAL], input: ['2025-07-04 18:05:00.25'], output: '18:05:00.25' },
  make: ({ zone }) => {
    const wall = zone === 'UTC' ? (moment: Moment): Moment => moment : toWall(zone)
    return (value) => writeMoment(wall(readMoment(value)), TIME)
  },
})

export const ZONES: readonly Transform[] = [toLocal, fromLocal, convertZone, dateOnly, timeOnly]
