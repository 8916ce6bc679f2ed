/** What the service does with datasources, put together from its store, its key and its settings. */
import { mkdirSync } from 'node:fs'

import type { DatasourceTools } from '#api/tools.ts'
import { parseDatabaseUrl, resolveAllowed } from '#adapters/registry.ts'
import { EmbeddedStaging } from '#control/embedded-staging.ts'
import { adviseTables } from '#jobs/advise-detection.ts'
import { SchemaBrowser } from '#jobs/browse-schema.ts'
import { openDatasource, type OpeningTools } from '#jobs/open-datasource.ts'
import type { OpenDatasource } from '#jobs/opener.ts'
import { checkReference } from '#jobs/references.ts'
import { previewTableMapping } from '#jobs/preview-mapping.ts'
import { previewRowMatch } from '#jobs/preview-match.ts'
import { lookForSchemaDrift } from '#jobs/schema-drift.ts'
import { suggestMappings, type SuggestTools } from '#jobs/suggest-fields.ts'
import { confirmServer, testDatasource } from '#jobs/test-datasource.ts'
import { validateDraftTable, validateTable } from '#jobs/validate-table.ts'
import { Secret } from '#lib/secret.ts'
import { AppError } from '#model/errors.ts'
import type { WriteRules } from '#model/write-protection.ts'
import type { Base } from './base.ts'
import { readVariable, secretVariables, type Config } from './config.ts'
import { PrivateFolder } from './private-folder.ts'

export type Parts = Pick<Base, 'store' | 'box'> &
  Pick<OpeningTools, 'resolve'> & {
    readonly config: Pick<
      Config,
      'datasources' | 'secretFiles' | 'vaultAddress' | 'vaultToken' | 'maskKey' | 'tempDirectory'
    >
  }

export function openingTools({ store, box, config, resolve = resolveAllowed }: Parts): Required<OpeningTools> {
  const { vaultAddress: address, vaultToken: token } = config
  return {
    store,
    box,
    resolve,
    references: {
      readVariable: (name) => config.datasources[name] ?? readVariable(name),
      ownSecrets: secretVariables(),
      directory: config.secretFiles,
      vault: address === null || token === null ? null : { address, token },
    },
  }
}

/** Opens datasources for jobs. */
export function datasourceOpener(base: Parts, rules: WriteRules): OpenDatasource {
  const tools = openingTools(base)
  return (datasource, { write, consent, signal }) =>
    openDatasource(tools, datasource, { write: write ? consent : null, rules, signal })
}

/** The model that refines suggestions, as it is set up at the moment. */
type FindModel = () => Promise<SuggestTools['model']>

export function datasourceTools(base: Parts, rules: WriteRules, findModel: FindModel): DatasourceTools {
  const tools = openingTools(base)
  const browser = new SchemaBrowser(tools)
  return {
    parseUrl: (url) => parseDatabaseUrl(url.reveal()),
    checkDraft: async ({ connection: { host }, password }) => {
      if (host.startsWith('/')) throw new AppError('host_not_allowed', 'A socket of this machine cannot be named here.')
      if (password !== null && !(password instanceof Secret)) checkReference(password.reference, tools.references)
      // A name that does not resolve now may do so later; it is looked at again at each connection.
      await tools.resolve(host).catch((error: unknown) => {
        if (error instanceof AppError) throw error
      })
    },
    test: (what, signal) => testDatasource(tools, what, signal),
    browse: (datasource, question, signal) => browser.browse(datasource, question, signal),
    preview: (datasource, question, signal) => browser.preview(datasource, question, signal),
    previewMapping: (question, signal) =>
      previewTableMapping({ ...tools, rules, maskKey: base.config.maskKey }, question, signal),
    previewMatch: async (question, signal) => {
      const { maskKey, tempDirectory } = base.config
      mkdirSync(tempDirectory, { recursive: true })
      using folder = new PrivateFolder(tempDirectory, 'match')
      const openStaging = (): EmbeddedStaging => new EmbeddedStaging(folder.newFile('rows.sqlite'))
      return await previewRowMatch({ ...tools, rules, maskKey, openStaging }, question, signal)
    },
    suggest: async (question, signal) =>
      suggestMappings({ ...tools, rules, model: question.refine ? await findModel() : null }, question, signal),
    advise: (question, signal) => adviseTables({ ...tools, rules }, question, signal),
    validate: (job, table, signal) => {
      const { maskKey } = base.config
      return validateTable(
        { store: base.store, openDatasource: datasourceOpener(base, rules), maskKey },
        { job, table },
        signal,
      )
    },
    validateDraft: (question, signal) =>
      validateDraftTable({ ...tools, rules, maskKey: base.config.maskKey }, question, signal),
    lookForSchemaDrift: (config, signal) => lookForSchemaDrift({ ...tools, rules }, config, signal),
    confirmServer: async (datasource, actor, signal) =>
      void (await confirmServer(tools, datasource, { actor, signal })),
  }
}
