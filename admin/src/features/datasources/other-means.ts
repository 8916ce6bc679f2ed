import type { Schemas } from '#api/client.ts'
import { fileMeans } from '#lib/config-file.ts'
import { PORTS } from '#features/datasources/connection-draft.ts'
import { curlOf, quote, type OtherMeans } from '#ui/copy.tsx'

/** Stands where a secret would: what is copied may end in a chat or a file. */
const PLACEHOLDER = 'PASSWORD'

/** The same by curl, by the command line, and as the document that the API takes. */
export function otherMeansToAdd(request: Schemas['DatasourceRequest']): OtherMeans {
  return {
    curl: curlOf('POST', '/api/v1/datasources', withoutSecrets(request)),
    ...fileOf(request),
    ...commandOf(request),
  }
}

/** The same by curl, and as the file that holds it from then on. */
export function otherMeansToChange(id: string, request: Schemas['DatasourceRequest']): OtherMeans {
  return { curl: curlOf('PUT', `/api/v1/datasources/${id}`, withoutSecrets(request)), ...fileOf(request) }
}

/** A file holds no secret: one that was typed is looked up where the service runs. */
function fileOf({ password, service_role_key: key, ...request }: Schemas['DatasourceRequest']): OtherMeans {
  const said = Object.fromEntries(Object.entries(request).filter(([, value]) => value !== null))
  const looked = {
    ...(typeof password === 'string' ? { password_reference: `env:${PLACEHOLDER}` } : {}),
    ...(typeof key === 'string' ? { service_role_key_reference: 'env:SERVICE_ROLE_KEY' } : {}),
  }
  return fileMeans({ datasources: [{ ...said, ...looked }] })
}

function withoutSecrets(request: Schemas['DatasourceRequest']): Schemas['DatasourceRequest'] {
  return {
    ...request,
    ...(typeof request.password === 'string' ? { password: PLACEHOLDER } : {}),
    ...(typeof request.service_role_key === 'string' ? { service_role_key: PLACEHOLDER } : {}),
  }
}

/** The command takes a URL; what a URL does not say cannot be said by it. */
function commandOf(request: Schemas['DatasourceRequest']): OtherMeans {
  const { name, kind, host, port, database, user, ssl, environment, writable, project_url: project } = request
  if (request.ca !== undefined || (request.schemas ?? null) !== null || request.password_reference !== undefined)
    return {}
  const flags = [
    ...(writable === true ? ['--writable'] : []),
    ...((environment ?? null) === null ? [] : ['--environment', String(environment)]),
  ]
  if (project !== undefined) {
    const key = request.service_role_key_reference ?? 'env:SERVICE_ROLE_KEY'
    return { cli: words('syncline', 'datasources', 'add', name, project, '--service-role-key', key, ...flags) }
  }
  if (host === undefined || database === undefined || user === undefined) return {}
  const login = `${encodeURIComponent(user)}${typeof request.password === 'string' ? `:${PLACEHOLDER}` : ''}`
  const place = host.includes(':') ? `[${host}]` : host
  const mode = (ssl ?? null) === null ? '' : `?sslmode=${ssl}`
  const scheme = kind === 'mysql' ? 'mysql' : 'postgres'
  const url = `${scheme}://${login}@${place}:${port ?? PORTS[scheme]}/${encodeURIComponent(database)}${mode}`
  return { cli: words('syncline', 'datasources', 'add', name, url, ...flags) }
}

export function words(...all: readonly string[]): string {
  return all.map(quote).join(' ')
}
