import { z } from 'zod'
import { DatasourceInput } from '#api/contract/datasources.ts'
import { stepSchemas } from '#sync/check-document.ts'
import { ConfigInput } from './config-input.ts'

/**
 * A file of datasources and sync configs, to be kept under version control: it holds no secret. Passwords are kept by the
 * service, or named by `password_reference`.
 */
export const ConfigFile = z
  .strictObject({
    $schema: z.string().max(2_000).optional().meta({ description: 'Where editors find the JSON Schema of this file.' }),
    datasources: z
      .array(DatasourceInput.omit({ password: true }))
      .max(10_000)
      .optional()
      .meta({ description: 'The databases, by name.' }),
    sync_configs: z.array(ConfigInput).max(10_000).optional().meta({ description: 'What flows, by name.' }),
  })
  .meta({ id: 'ConfigFile' })

export type ConfigFile = z.infer<typeof ConfigFile>

/** The JSON Schema of such a file. What a step may be is written out, so that editors complete its name and arguments. */
export function configFileSchema(): object {
  const { $defs = {}, ...schema } = z.toJSONSchema(ConfigFile, { io: 'input' })
  return { title: 'Configuration file of Syncline', ...schema, $defs: { ...$defs, ...stepSchemas() } }
}
