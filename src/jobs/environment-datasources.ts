import { parseDatabaseUrl, parseProjectUrl } from '#adapters/registry.ts'
import { keepEnvironmentDatasources, type DatasourceDraft } from '#control/datasources.ts'
import type { Store } from '#control/store.ts'
import { DEFAULT_CONNECT_TIMEOUT_MS, DEFAULT_POOL_SIZE } from '#model/datasource.ts'
import { parseEnvironment } from '#model/environment.ts'
import { AppError } from '#model/errors.ts'
import { DATASOURCE_VARIABLE } from './references.ts'

/**
 * Registers what `DATASOURCE_<NAME>_URL` and `DATASOURCE_<NAME>_ENVIRONMENT` declare, as read-only datasources, and
 * removes those whose variable has gone and that nothing refers to. The password stays in the variable; the key of a
 * project, whose URL begins with https:, in `DATASOURCE_<NAME>_SERVICE_ROLE_KEY`.
 * @throws AppError `invalid_url`, `invalid_setting`, `name_taken`; then nothing was changed
 */
export async function registerEnvironmentDatasources(
  store: Store,
  variables: Readonly<Record<string, string>>,
  newId: () => string,
): Promise<{ readonly registered: readonly string[]; readonly removed: readonly string[] }> {
  const drafts = Object.entries(variables)
    .filter(([name]) => DATASOURCE_VARIABLE.test(name))
    .map(([name, url]) => toDraft(name, url, variables))
  const names = drafts.map(({ name }) => name)
  const twice = names.find((name, i) => names.indexOf(name) !== i)
  if (twice !== undefined) {
    throw new AppError(
      'invalid_setting',
      `Two variables declare the datasource ${twice}: names differ by more than case.`,
    )
  }
  return keepEnvironmentDatasources(store, drafts, newId)
}

function toDraft(variable: string, url: string, variables: Readonly<Record<string, string>>): DatasourceDraft {
  const word = /^DATASOURCE_(\w+)_URL$/.exec(variable)?.[1] ?? ''
  const stated = variables[`DATASOURCE_${word}_ENVIRONMENT`]
  const environment = stated === undefined ? null : parseEnvironment(stated.toLowerCase())
  if (stated !== undefined && environment === null) {
    throw new AppError('invalid_setting', `DATASOURCE_${word}_ENVIRONMENT names no environment: ${stated}.`)
  }
  const key = `DATASOURCE_${word}_SERVICE_ROLE_KEY`
  const { kind, connection, password, connectTimeoutMs } = parse(variable, url, key)
  return {
    name: word
      .toLowerCase()
      .replaceAll('_', '-')
      .replaceAll(/^-+|-+$/g, ''),
    kind,
    connection,
    password,
    schemas: null,
    poolSize: DEFAULT_POOL_SIZE,
    connectTimeoutMs,
    environment,
    writable: false,
  }
}

function parse(
  variable: string,
  url: string,
  key: string,
): Pick<DatasourceDraft, 'kind' | 'connection' | 'password' | 'connectTimeoutMs'> {
  try {
    if (/^\s*https?:\/\//i.test(url)) {
      const connection = parseProjectUrl(url, null)
      const password = { reference: `env:${key}` }
      return { kind: 'supabase', connection, password, connectTimeoutMs: DEFAULT_CONNECT_TIMEOUT_MS }
    }
    const { password, ...parsed } = parseDatabaseUrl(url)
    return { ...parsed, password: password === null ? null : { reference: `env:${variable}` } }
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    const { code, message, hint } = error
    throw new AppError(code, `${variable}: ${message}`, { hint, cause: error })
  }
}
