import { z } from 'zod'
import { ColumnMasks, READING_ASKED, RowFilters } from '#api/contract/reading.ts'
import { DUMP_COMPRESSIONS, DUMP_STYLES } from '#model/dump.ts'

/** What jobs of dumps and copies were asked for, as they tell it again. */

const passphrase = z.string().nullable().meta({ description: 'Where the passphrase of a sealed file is found.' })

export const ExportAsked = z
  .object({
    ...READING_ASKED,
    style: z.enum(DUMP_STYLES),
    compression: z.enum(DUMP_COMPRESSIONS),
    passphrase_reference: passphrase,
  })
  .meta({ id: 'ExportAsked' })

/** Of whatever restores a file. */
const RESTORE_ASKED = {
  dump: z.string(),
  trust_file: z.boolean(),
  owners: z.boolean(),
  grants: z.boolean(),
  passphrase_reference: passphrase,
}

export const ImportAsked = z
  .object({ ...RESTORE_ASKED, replace: z.boolean(), backup: z.boolean(), swap: z.boolean() })
  .meta({ id: 'ImportAsked' })

export const CopyAsked = z
  .object({
    ...READING_ASKED,
    filters: RowFilters,
    masks: ColumnMasks,
    replace: z.boolean(),
    backup: z.boolean(),
    trust_source: z.boolean(),
  })
  .meta({ id: 'CopyAsked' })

export const DrillAsked = z.object(RESTORE_ASKED).meta({ id: 'DrillAsked' })
