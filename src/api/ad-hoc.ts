import { newId, type Context } from '#api/context.ts'
import { refuseOwnConnections } from '#api/security/scope.ts'
import { nullIfMissing, visibleDatasource } from '#api/visible.ts'
import { createDatasource, getDatasource } from '#control/datasources.ts'
import { Secret } from '#lib/secret.ts'
import type { Actor } from '#model/access.ts'
import { DEFAULT_POOL_SIZE, type Datasource } from '#model/datasource.ts'
import { AppError } from '#model/errors.ts'

/**
 * The datasource behind a connection that a request brings along: by id or name, or by a URL, which becomes a datasource
 * that no list shows, so that the job holds its id and its password is kept sealed (S46). The same URL gives the same
 * one again, by a name that only this installation's key can make from it.
 * @throws AppError `not_found`, `forbidden`, `invalid_url`, `host_not_allowed`
 */
export async function broughtDatasource(context: Context, actor: Actor, text: string): Promise<Datasource> {
  const { store, box, datasources } = context
  if (!text.includes('://')) return visibleDatasource(store, actor, text)
  refuseOwnConnections(actor)
  const { kind, connection, password, connectTimeoutMs } = datasources.parseUrl(new Secret(text))
  const name = `ad-hoc ${box.mac(JSON.stringify([kind, connection, connectTimeoutMs, password?.reveal() ?? null]))}`
  const draft = {
    name,
    kind,
    connection,
    password,
    schemas: null,
    poolSize: DEFAULT_POOL_SIZE,
    connectTimeoutMs,
    environment: null,
    writable: false,
  }
  await datasources.checkDraft(draft, actor)
  const known = await getDatasource(store, name).catch(nullIfMissing)
  if (known !== null) return known
  try {
    return await createDatasource({ store, box }, draft, { id: newId('datasource'), actor, origin: 'ad_hoc' })
  } catch (error) {
    // Somebody was quicker with the same one.
    if (error instanceof AppError && error.code === 'name_taken') return getDatasource(store, name)
    throw error
  }
}
