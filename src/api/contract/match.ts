import { z } from 'zod'
import { tableName } from '#api/contract/fields.ts'
import { cursor } from '#api/contract/paging.ts'
import { MATCH_LISTS } from '#model/match.ts'

export const MatchInput = z
  .strictObject({
    table: tableName.optional().meta({ description: 'The table as it is called in the source. Default: all of them.' }),
    by: z
      .array(z.string().min(1).max(200))
      .min(1)
      .max(32)
      .optional()
      .meta({ description: 'Columns of the source to match by, in place of the key of the mapping: to try them out.' }),
    list: z.enum(MATCH_LISTS).optional().meta({
      description:
        'List rows of the table too. differing: pairs with other values. duplicates: match fields that several rows of a side share. source_only, target_only: rows of one side alone.',
    }),
    limit: z.int().min(1).max(200).optional().meta({ description: 'Entries in a page of the list. Default 20.' }),
    cursor,
  })
  .superRefine(({ table, by, list, limit, cursor: after }, context) => {
    const problem = (path: string, message: string): void => context.addIssue({ code: 'custom', path: [path], message })
    if (list !== undefined && table === undefined) problem('table', 'A list is of one table: name it.')
    if (by !== undefined && table === undefined) problem('table', 'Columns are of one table: name it.')
    if (list === undefined && limit !== undefined) problem('limit', 'limit is for a list.')
    if (list === undefined && after !== undefined) problem('cursor', 'cursor is for a list.')
  })
  .meta({ id: 'MatchQuestion' })

const sides = z.strictObject({ source: z.int(), target: z.int() })
const cells = z.array(z.string().nullable())

export const MatchBody = z
  .strictObject({
    tables: z.array(
      z.strictObject({
        source: z.string(),
        target: z.string(),
        match_by: z.array(z.strictObject({ source: z.string(), target: z.string() })).meta({
          description: 'The columns by which rows are the same: the key of the mapping, or those that were asked for.',
        }),
        counts: z
          .strictObject({
            rows: sides,
            equal: z.int().meta({ description: 'Pairs of rows that are the same in all columns that are carried.' }),
            differing: z.int().meta({ description: 'Pairs of rows that have other values.' }),
            source_only: z.int(),
            target_only: z.int(),
            duplicates: z.strictObject({ values: z.int(), source: z.int(), target: z.int() }).meta({
              description: 'Values that several rows of a side share, and the rows of each side that have them.',
            }),
            without: sides.meta({ description: 'Rows in which a match field is NULL.' }),
            rejected: z.int().meta({ description: 'Rows of the source that the mapping cannot carry.' }),
          })
          .nullable()
          .meta({ description: 'Null where the tables cannot be compared.' }),
        problems: z.array(z.string()).meta({ description: 'Why a run would not begin with this table.' }),
      }),
    ),
    notes: z.array(z.string()),
    list: z
      .strictObject({
        columns: z.array(z.string()).meta({ description: 'The cells of the rows; the match fields come first.' }),
        items: z.array(
          z.strictObject({
            key: cells,
            rows: sides.meta({ description: 'How many rows of each side have the key.' }),
            source: cells.nullable(),
            target: cells
              .nullable()
              .meta({ description: 'Null where there is no such row, there are several, or it is too large.' }),
            differs: z.array(z.string()).meta({ description: 'The columns in which the two rows differ.' }),
          }),
        ),
        next_cursor: z.string().nullable().meta({ description: 'Where the next page begins; null at the end.' }),
      })
      .nullable(),
  })
  .meta({ id: 'MatchPreview' })
