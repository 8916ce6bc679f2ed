/** GRANT, REVOKE and ALTER DEFAULT PRIVILEGES: what they are about, and whom. */
import { depthsOf, readAddress, refuse, type MadeObjects, type ObjectClass, type Place } from './named-objects.ts'
import { keptOther, keptSchemas, otherOf, type Kept } from './recognized.ts'
import { identifierOf } from './sql-tokens.ts'

export interface Rights {
  /** Roles that must be there. */
  readonly roles: readonly string[]
  /** What of it is given rights on only where the file makes it. */
  readonly about: Kept | null
}

/** Words between ON and what rights are given on. */
const ON_CLASSES: readonly (readonly [words: readonly string[], object: ObjectClass])[] = [
  [['TABLE'], 'relation'],
  [['SEQUENCE'], 'relation'],
  [['FUNCTION'], 'routine'],
  [['PROCEDURE'], 'routine'],
  [['ROUTINE'], 'routine'],
  [['SCHEMA'], 'schema'],
  [['TYPE'], 'type'],
  [['DOMAIN'], 'type'],
  [['LARGE', 'OBJECT'], 'large object'],
  [['LANGUAGE'], 'language'],
  [['FOREIGN', 'SERVER'], 'server'],
  [['FOREIGN', 'DATA', 'WRAPPER'], 'foreign data wrapper'],
]

const BEYOND = /^(DATABASE|PARAMETER|TABLESPACE|FOREIGN)$/
const NO_ROLES: readonly string[] = ['PUBLIC', 'CURRENT_USER', 'CURRENT_ROLE', 'SESSION_USER']

const WITHOUT = 'Import without rights, or trust the file (--trust-file).'

export interface RightsOptions {
  readonly made: MadeObjects
  /** Where a name without a schema is. */
  readonly schema: string
  readonly trusted: boolean
}

/** Where the ON of the statement is. @throws Refused where it is about more than the objects of a database */
export function findOn({ tokens, words }: Place, trusted: boolean): number {
  const depths = depthsOf(tokens)
  const on = words.findIndex((word, index) => word === 'ON' && depths[index] === 0)
  // Without an object it makes somebody a member of a role.
  if (on < 0) refuse('gives membership of a role')
  const what = words[on + 1] ?? ''
  if (BEYOND.test(what) && !(trusted && what === 'FOREIGN')) refuse('is about more than the database')
  return on
}

/** @throws Refused where one of what it names is not made by the file */
export function readRights(place: Place, on: number, options: RightsOptions): Rights {
  return place.words[0] === 'ALTER' ? readDefaults(place, on, options) : readGrant(place, on, options)
}

function readGrant(place: Place, on: number, { made, schema, trusted }: RightsOptions): Rights {
  const { tokens, words } = place
  if (words[on + 1] === 'ALL') refuse('does not name what it is about one by one')
  const [key, object] = ON_CLASSES.find(([keys]) => keys.every((word, index) => words[on + 1 + index] === word)) ?? [
    [],
    'relation' as const,
  ]
  const schemas: string[] = []
  const others: string[] = []
  let at = on + key.length
  do {
    const address = readAddress(object, { ...place, next: at + 1 }, schema)
    // Extensions and the server have made some of what dumps tell the rights on: functions of the one, languages of the other.
    if (!trusted) made.assertHas(address, WITHOUT)
    if (object === 'schema') schemas.push(address.name.name)
    others.push(...(keptOther(otherOf(address))?.others ?? []))
    at = address.next
  } while (tokens[at]?.text === ',')
  if (words[at] !== 'TO' && words[at] !== 'FROM') refuse('is no list of objects and roles')
  const about = schemas.length + others.length === 0 ? null : { ...keptSchemas(schemas), others }
  return { roles: rolesFrom(place, at + 1), about }
}

/** Rights on what somebody makes later: in schemas of the file alone, unless the file is trusted. */
function readDefaults(place: Place, on: number, { made, trusted }: RightsOptions): Rights {
  const { tokens, words } = place
  const roles: string[] = []
  let named = false
  for (let at = place.next; at < on; at++) {
    if (words[at] === 'FOR') roles.push(...rolesFrom(place, at + 2))
    if (words[at] !== 'IN' || words[at + 1] !== 'SCHEMA') continue
    for (at += 1; tokens[at]?.text === ',' || words[at] === 'SCHEMA';) {
      const address = readAddress('schema', { ...place, next: at + 1 }, '')
      if (!trusted && !made.has('schema', address.name)) refuse(...aboutLater(address.name.name))
      named = true
      at = address.next
    }
    at -= 1
  }
  if (!named && !trusted) refuse(...aboutLater('any schema'))
  const to = words.findIndex((word, index) => index > on && (word === 'TO' || word === 'FROM'))
  if (to < 0) refuse('names no role')
  return { roles: [...roles, ...rolesFrom(place, to + 1)], about: null }
}

function aboutLater(where: string): [why: string, fix: string] {
  return [`gives rights on what is made later in ${where}, which the file does not make`, WITHOUT]
}

export function rolesFrom({ tokens, words }: Place, from: number): string[] {
  const roles: string[] = []
  let at = from - 1
  do {
    at += words[at + 1] === 'GROUP' ? 2 : 1
    const role = identifierOf(tokens[at]) ?? refuse('names no role')
    if (tokens[at]?.kind !== 'word' || !NO_ROLES.includes(tokens[at]?.text ?? '')) roles.push(role)
    at += 1
  } while (tokens[at]?.text === ',')
  return roles
}
