/** Who may do what. A role includes those before it. */
export const ROLES = ['viewer', 'operator', 'admin'] as const

export type Role = (typeof ROLES)[number]

export function includesRole(held: Role, needed: Role): boolean {
  return ROLES.indexOf(held) >= ROLES.indexOf(needed)
}

/** A key to the API. Its secret part is shown once, and only its hash is kept. */
export interface ApiKey {
  readonly id: string
  readonly name: string
  /** The first characters of the key, by which people find it again; no secret. */
  readonly prefix: string
  readonly role: Role
  /** Ids of the datasources that it may see and use; null: all. */
  readonly datasources: readonly string[] | null
  readonly createdAt: string
  /** Null: it does not expire. */
  readonly expiresAt: string | null
  readonly lastUsedAt: string | null
  readonly revokedAt: string | null
}

/** Who asks, as every decision and every audit event needs it. */
export interface Actor {
  /**
   * The id of the API key, or `system` for what the service does by itself, `cli` for somebody at this machine, `webhook`
   * for a program that was asked and has answered, `schedule` for what runs by itself.
   */
  readonly id: string
  readonly name: string
  readonly role: Role
  readonly datasources: readonly string[] | null
  /** Where the request came from; null for what came from this machine without a request. */
  readonly address: string | null
}

export const SYSTEM: Actor = { id: 'system', name: 'system', role: 'admin', datasources: null, address: null }

export function maySee(actor: Actor, datasourceId: string): boolean {
  return actor.datasources === null || actor.datasources.includes(datasourceId)
}
