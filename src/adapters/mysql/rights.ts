import type { TableRef } from '#model/table.ts'
import type { Connection } from './connection.ts'
import { literal } from './sql.ts'

/** What this login may do that the catalogue of columns does not say. */
export interface Rights {
  /** Of a table, whatever gives it. */
  hasOnTable(table: TableRef, privilege: string): boolean
  /** Of the server as a whole. */
  has(privilege: string): boolean
  /** Of a database and all its tables. */
  hasOn(database: string, privilege: string): boolean
}

/** Whether the login has a privilege on the database that it is connected to. */
export async function may(connection: Connection, privilege: string): Promise<boolean> {
  const rights = await readRights(connection)
  return rights.has(privilege) || rights.hasOn(connection.endpoint.database, privilege)
}

/** The account that the login is, as a GRANT names it; the last `@` divides it. */
export async function accountOf(connection: Connection): Promise<string> {
  const [row] = await connection.query('SELECT CURRENT_USER()')
  const account = row?.[0] ?? ''
  const at = account.lastIndexOf('@')
  return `${literal(account.slice(0, at))}@${literal(account.slice(at + 1))}`
}

interface Grant {
  readonly privileges: ReadonlySet<string>
  /** `*` stands for all of them. */
  readonly schema: string
  readonly table: string
}

/** Reads the grants of the login and of the roles that are active in the session. */
export async function readRights(connection: Connection): Promise<Rights> {
  const { mariadb } = connection.version
  const [active] = mariadb ? [] : await connection.query('SELECT CURRENT_ROLE()')
  const roles = active?.[0] ?? 'NONE'
  // MariaDB tells those of the role as well; MySQL where it is asked.
  const using = mariadb || roles === 'NONE' ? '' : ` FOR CURRENT_USER() USING ${roles}`
  return rightsOf((await connection.query(`SHOW GRANTS${using}`)).map(([grant]) => grant ?? ''))
}

/** @param grants statements as the server writes them */
export function rightsOf(grants: readonly string[]): Rights {
  const known = grants.flatMap((text) => parseGrant(text) ?? [])
  const covers = ({ privileges }: Grant, privilege: string): boolean =>
    privileges.has(privilege) || privileges.has('ALL PRIVILEGES') || privileges.has('ALL')
  return {
    hasOnTable: ({ schema, name }, privilege) =>
      known.some(
        (grant) =>
          covers(grant, privilege) &&
          (grant.schema === '*' || isLike(schema, grant.schema)) &&
          (grant.table === '*' || grant.table === name),
      ),
    hasOn: (database, privilege) =>
      known.some(
        (grant) =>
          grant.table === '*' && (grant.schema === '*' || isLike(database, grant.schema)) && covers(grant, privilege),
      ),
    has: (privilege) => known.some((grant) => grant.schema === '*' && covers(grant, privilege)),
  }
}

const NAME = '(\\*|`(?:[^`]|``)*`)'
const GRANT = new RegExp(`^GRANT (.+?) ON (?:TABLE )?${NAME}\\.${NAME} TO `)

function parseGrant(text: string): Grant | null {
  const [, list, schema, table] = GRANT.exec(text) ?? []
  if (list === undefined || schema === undefined || table === undefined) return null
  // What is granted on columns alone stands with a list of them.
  const privileges = list.replaceAll(/\s*\((?:[^()`]|`(?:[^`]|``)*`)*\)/g, ' (').split(',')
  return { privileges: new Set(privileges.map((each) => each.trim())), schema: bare(schema), table: bare(table) }
}

function bare(name: string): string {
  return name === '*' ? name : name.slice(1, -1).replaceAll('``', '`')
}

/** A grant on databases may have the wildcards of LIKE in their name. */
function isLike(name: string, pattern: string): boolean {
  const parts = [...pattern.matchAll(/\\([\s\S])|([%_])|([\s\S])/g)].map(([, escaped, wildcard, plain]) => {
    if (wildcard !== undefined) return wildcard === '%' ? '[\\s\\S]*' : '[\\s\\S]'
    return (escaped ?? plain ?? '').replaceAll(/[\\^$.*+?()[\]{}|/-]/g, String.raw`\$&`)
  })
  return new RegExp(`^${parts.join('')}$`).test(name)
}
