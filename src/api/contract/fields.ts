import { z } from 'zod'
import { isAnyId } from '#model/id.ts'
import { BadName, parseTableName } from '#model/table-pattern.ts'

export const confirm = z
  .string()
  .max(200)
  .optional()
  .meta({ description: 'The name of what this is done to, typed out: it cannot be taken back.' })

export const time = z.string().meta({ format: 'date-time', description: 'ISO 8601, UTC.' })

/** Words that stand where the name of a sync config may stand too: `POST /sync/full`. */
const WORDS_OF_PATHS = ['full', 'incremental', 'export', 'import']

/** Whether a name can be told from an id and from the words of our paths, wherever a path takes an id or a name. */
export function isOwnName(name: string): boolean {
  return !isAnyId(name) && !WORDS_OF_PATHS.includes(name)
}

/** Words that stand beside the name of a sync config below `/sync`: `GET /sync/status/{jobId}`, `POST /sync/copy`. */
const WORDS_BESIDE_CONFIGS = ['audit', 'conflicts', 'copy', 'resume', 'status', 'stop']

export function isConfigName(name: string): boolean {
  return isOwnName(name) && !WORDS_BESIDE_CONFIGS.includes(name)
}

export const NOT_OWN_NAME = 'This name stands for something else in a path.'

/** One table as somebody writes it; `parseTableName` reads it without fail then. */
export const tableName = z
  .string()
  .min(1)
  .max(500)
  .superRefine((text, context) => {
    try {
      parseTableName(text)
    } catch (error) {
      if (!(error instanceof BadName)) throw error
      context.addIssue({ code: 'custom', message: `This is no name of a table: ${error.message}.` })
    }
  })
  .meta({ description: 'schema.table, or table for one in public.', examples: ['orders'] })
