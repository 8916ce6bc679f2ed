import { BACKUP_DAYS, DEFAULT_RETENTION, MOST_DAYS } from '#model/retention.ts'
import { boolean, define, optional, whole } from './setting.ts'

const GIB = 1_073_741_824

/** Where dumps are kept, and how many of them. */
export const DUMP_SETTINGS = {
  dumpDirectory: define({
    name: 'DUMP_DIRECTORY',
    group: 'dumps',
    default: '',
    help: 'The directory of dumps, which all processes of the service share. Default: dumps in the data directory.',
    read: optional,
  }),
  dumpMaxBytes: define({
    name: 'DUMP_MAX_BYTES',
    group: 'dumps',
    default: String(DEFAULT_RETENTION.bytes.dumps),
    help: 'Bytes that all dumps together may have. Where there are more, the oldest go. For an export that would come on top, the oldest ones of its datasource go; where that is not enough, it is refused. Set, it comes before what is set up by the API.',
    read: whole(1, Number.MAX_SAFE_INTEGER),
  }),
  dumpMaxUnpackedBytes: define({
    name: 'DUMP_MAX_UNPACKED_BYTES',
    group: 'dumps',
    default: String(1024 * GIB),
    help: 'Bytes of SQL that a dump may have which is imported. A packed one that was not written here may be no more than 200 times as large as its file, unless somebody trusts it.',
    read: whole(1, Number.MAX_SAFE_INTEGER),
  }),
  dumpFreeBytes: define({
    name: 'DUMP_FREE_BYTES',
    group: 'dumps',
    default: String(DEFAULT_RETENTION.bytes.free),
    help: 'Bytes of its disk that are left free: no dump is written beyond that. Set, it comes before what is set up by the API.',
    read: whole(0, Number.MAX_SAFE_INTEGER),
  }),
  dumpDrillInto: define({
    name: 'DUMP_DRILL_INTO',
    group: 'dumps',
    default: '',
    help: 'A datasource, by id or name, on whose server the newest export of each datasource is tried: restored into a database of its own, checked, and dropped again. It must be writable. By default none is.',
    read: optional,
  }),
  dumpDrillTrust: define({
    name: 'DUMP_DRILL_TRUST',
    group: 'dumps',
    default: 'false',
    help: 'Such a dump may do whatever the login of that datasource may, which may be a superuser.',
    read: boolean,
  }),
  dumpRetentionDays: define({
    name: 'DUMP_RETENTION_DAYS',
    group: 'dumps',
    default: String(DEFAULT_RETENTION.days.dumps),
    help: `How long dumps are kept. A backup is kept for ${BACKUP_DAYS} days at least. Set, it comes before what is set up by the API.`,
    read: whole(1, MOST_DAYS),
  }),
} as const
