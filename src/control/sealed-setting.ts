import type { Transaction } from 'kysely'
import { Secret } from '#lib/secret.ts'
import { SealBroken, type SecretBox } from '#lib/secret-box.ts'
import type { Actor } from '#model/access.ts'
import type { ConnectionTest } from '#model/datasource.ts'
import { AppError } from '#model/errors.ts'
import { audited } from './audit.ts'
import type { Tables } from './schema.ts'
import type { Store } from './store.ts'

/** A secret to be kept, or where it is looked up each time. */
export type SettingSecret = Secret | { readonly reference: string }

/** What a setting says beside its secret, and who made it. */
export interface StoredSetting<T> {
  readonly value: T
  /** Whether there is a secret, kept or referred to. */
  readonly hasSecret: boolean
  readonly reference: string | null
  readonly updatedAt: string
  /** The name of whoever did. */
  readonly updatedBy: string
  readonly lastTest: ConnectionTest | null
}

/** A setting as it lies in the store: at most one of `sealed` and `reference` is there. */
interface Kept<T> extends Omit<StoredSetting<T>, 'hasSecret'> {
  readonly sealed: string | null
}

interface SettingTools {
  readonly store: Store
  readonly box: SecretBox
}

interface SettingWords {
  /** The key of `store_meta`, what the sealed secret is bound to, and the noun of its audit events. */
  readonly key: 'ai' | 'redis'
  /** The secret, at the beginning of a sentence. */
  readonly secret: string
  /** How one that cannot be read is given again. */
  readonly mend: string
}

/** A setting with one secret that somebody makes over the API: the secret is sealed, or a reference. */
export class SealedSetting<T extends object> {
  readonly #words: SettingWords

  constructor(words: SettingWords) {
    this.#words = words
  }

  async find(store: Store): Promise<StoredSetting<T> | null> {
    const kept = await this.#read(store.db)
    if (kept === null) return null
    const { sealed, ...rest } = kept
    return { ...rest, hasSecret: sealed !== null || kept.reference !== null }
  }

  /** The setting with its secret (null: it has none). @throws AppError `secret_unreadable` */
  async open({ store, box }: SettingTools): Promise<{ value: T; secret: SettingSecret | null } | null> {
    const kept = await this.#read(store.db)
    if (kept === null) return null
    const { value, sealed, reference } = kept
    if (reference !== null) return { value, secret: { reference } }
    if (sealed === null) return { value, secret: null }
    const { key, secret, mend } = this.#words
    try {
      return { value, secret: new Secret(box.open(sealed, key)) }
    } catch (error) {
      if (!(error instanceof SealBroken)) throw error
      throw new AppError('secret_unreadable', `${secret} cannot be read. ${error.message}`, {
        hint: mend,
        cause: error,
      })
    }
  }

  /**
   * `secret` null: none. Undefined: the one that there is stays, where `staysFor` says of the value before that it may.
   * `told` is what the audit event says.
   */
  async keep(
    { store, box }: SettingTools,
    { value, secret, staysFor, told }: KeepWish<T>,
    actor: Actor,
  ): Promise<void> {
    await audited(store, actor, async (tx, audit) => {
      const before = secret === undefined ? await this.#read(tx) : null
      const stays = before !== null && staysFor?.(before.value) === true
      const { sealed, reference } = stays ? before : this.#seal(secret ?? null, box)
      const made = { updatedAt: store.clock.now(), updatedBy: actor.name, lastTest: null }
      await this.#write(tx, { value, sealed, reference, ...made })
      const data = told({ hasSecret: sealed !== null || reference !== null, reference })
      await audit({ action: `settings.${this.#words.key}.update`, subject: null, data })
    })
  }

  /** Returns whether there was one. */
  async forget(store: Store, actor: Actor): Promise<boolean> {
    const { key } = this.#words
    return audited(store, actor, async (tx, audit) => {
      const { numDeletedRows } = await tx.deleteFrom('store_meta').where('key', '=', key).executeTakeFirst()
      if (numDeletedRows > 0n) await audit({ action: `settings.${key}.delete`, subject: null, data: {} })
      return numDeletedRows > 0n
    })
  }

  /** Remembers the test of what is set up now. */
  async recordTest(store: Store, lastTest: ConnectionTest): Promise<void> {
    await store.write(async (tx) => {
      const kept = await this.#read(tx)
      if (kept !== null) await this.#write(tx, { ...kept, lastTest })
    })
  }

  /** Seals the secret anew with the current key. @throws SealBroken */
  async reseal(tx: Transaction<Tables>, box: SecretBox): Promise<void> {
    const kept = await this.#read(tx)
    if (kept === null || kept.sealed === null || box.isCurrent(kept.sealed)) return
    const { key } = this.#words
    await this.#write(tx, { ...kept, sealed: box.seal(box.open(kept.sealed, key), key) })
  }

  #seal(secret: SettingSecret | null, box: SecretBox): Pick<Kept<T>, 'sealed' | 'reference'> {
    if (secret === null) return { sealed: null, reference: null }
    return secret instanceof Secret
      ? { sealed: box.seal(secret.reveal(), this.#words.key), reference: null }
      : { sealed: null, reference: secret.reference }
  }

  async #read(db: Store['db']): Promise<Kept<T> | null> {
    const { key } = this.#words
    const row = await db.selectFrom('store_meta').select('value').where('key', '=', key).executeTakeFirst()
    if (row === undefined) return null
    // The fields of the value lie beside those of every setting.
    const { sealed, reference, updatedAt, updatedBy, lastTest, ...value } = JSON.parse(row.value)
    return { value, sealed, reference, updatedAt, updatedBy, lastTest }
  }

  async #write(tx: Transaction<Tables>, { value: fields, ...rest }: Kept<T>): Promise<void> {
    const value = JSON.stringify({ ...fields, ...rest })
    await tx
      .insertInto('store_meta')
      .values({ key: this.#words.key, value })
      .onConflict((conflict) => conflict.column('key').doUpdateSet({ value }))
      .execute()
  }
}

interface KeepWish<T> {
  readonly value: T
  readonly secret: SettingSecret | null | undefined
  readonly staysFor?: (before: T) => boolean
  readonly told: (secret: { hasSecret: boolean; reference: string | null }) => Readonly<Record<string, unknown>>
}
