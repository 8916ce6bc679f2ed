import { describeConnection, type Datasource } from './datasource.ts'
import type { Environment } from './environment.ts'
import { AppError } from './errors.ts'

/** What this installation protects. */
export interface WriteRules {
  /** A write to one of these needs a second yes. */
  readonly protectedEnvironments: readonly Environment[]
}

/** What somebody agreed to, who wants a datasource to be written. */
export interface WriteConsent {
  /** The target was named by whoever asked, for this job. */
  readonly targetNamed: boolean
  readonly allowProtectedWrite: boolean
}

/**
 * What a datasource counts as: what somebody said, else `local` on this machine, else the most careful assumption.
 */
export function effectiveEnvironment({ environment, connection }: Datasource): Environment {
  return environment ?? (isLocalHost(connection.host) ? 'local' : 'production')
}

/** A unix socket, or a loopback name or address. */
export function isLocalHost(host: string): boolean {
  return host.startsWith('/') || host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host)
}

/**
 * Proof that somebody looked whether a database may be written. No adapter has a writer without one (invariant 5), and
 * there is none but by the two ways below.
 */
export class WritePermit {
  readonly #address: string

  private constructor(address: string) {
    this.#address = address
  }

  /** For a datasource. @throws AppError `target_not_writable`, `target_protected` */
  static forDatasource(target: Datasource, consent: WriteConsent, rules: WriteRules): WritePermit {
    refuseWrite(target, consent, rules)
    return new WritePermit(describeConnection(target.connection))
  }

  /** For a database that somebody named by itself, and agreed to its being written. @throws AppError `target_protected` */
  static forNamed(
    target: { readonly address: string; readonly environment: Environment },
    { allowProtectedWrite }: Pick<WriteConsent, 'allowProtectedWrite'>,
    { protectedEnvironments }: WriteRules,
  ): WritePermit {
    const { address, environment } = target
    if (protectedEnvironments.includes(environment) && !allowProtectedWrite) {
      throw new AppError('target_protected', `${address} counts as ${environment} and was not written.`)
    }
    return new WritePermit(address)
  }

  /** Whether it was given for the database at this address (`describeConnection`). */
  covers(address: string): boolean {
    return this.#address === address
  }
}

/** @throws AppError `target_not_writable`, `target_protected` unless the datasource may be written */
export function refuseWrite(target: Datasource, consent: WriteConsent, rules: WriteRules): void {
  const where = `${target.name} (${describeConnection(target.connection)})`
  if (!target.writable && !consent.targetNamed) {
    throw new AppError('target_not_writable', `The datasource ${where} is not marked writable.`, {
      hint: 'Mark the datasource as writable, if this sync is meant to write to it.',
    })
  }
  const environment = effectiveEnvironment(target)
  if (rules.protectedEnvironments.includes(environment) && !consent.allowProtectedWrite) {
    throw new AppError('target_protected', `The datasource ${where} counts as ${environment}, which is protected.`, {
      hint: 'Ask for the run with allow_protected_write, or say what the datasource is with its environment.',
    })
  }
}
