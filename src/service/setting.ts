/** What a setting is, and how its text is read. */
import { Networks } from '#lib/network-address.ts'
import { Secret } from '#lib/secret.ts'
import { ENVIRONMENTS, parseEnvironment, type Environment } from '#model/environment.ts'

export interface Setting<T> {
  readonly name: string
  /** Names under which the same setting is known elsewhere. */
  readonly also?: readonly string[]
  readonly group:
    | 'store'
    | 'network'
    | 'security'
    | 'jobs'
    | 'change sets'
    | 'dumps'
    | 'suggestions'
    | 'logs'
    | 'command line'
    | 'tests'
  /** As it would be written into a file of variables; empty where there is none. */
  readonly default: string
  readonly help: string
  readonly secret?: true
  /** What may be shown of a secret one. */
  readonly show?: (text: string) => string
  /** @throws BadSetting with what is allowed */
  readonly read: (text: string) => T
}

export class BadSetting extends Error {
  override readonly name = 'BadSetting'
}

export const text = (value: string): string => value
export const optional = (value: string): string | null => value || null
export const secret = (value: string): Secret | null => (value === '' ? null : new Secret(value))
export const maskKey = (value: string): Uint8Array | null => {
  if (value === '') return null
  const key = Buffer.from(value, 'base64')
  if (key.length >= 32 && /^[A-Za-z0-9+/]+={0,2}$/.test(value)) return key
  throw new BadSetting('at least 32 bytes in base64')
}
export const list = (value: string): readonly string[] =>
  value
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')

export function whole(least: number, most: number): (value: string) => number {
  return (value) => {
    const n = Number(value)
    if (/^\d+$/.test(value) && n >= least && n <= most) return n
    throw new BadSetting(`a whole number from ${least} to ${most}`)
  }
}

export function boolean(value: string): boolean {
  if (/^(1|true|yes|on)$/i.test(value)) return true
  if (/^(0|false|no|off|)$/i.test(value)) return false
  throw new BadSetting('true or false')
}

export function oneOf<T extends string>(choices: readonly T[]): (value: string) => T {
  return (value) => {
    const found = choices.find((choice) => choice === value.toLowerCase())
    if (found !== undefined) return found
    throw new BadSetting(`one of ${choices.join(', ')}`)
  }
}

export function environments(value: string): readonly Environment[] {
  return list(value).map((word) => {
    const environment = parseEnvironment(word)
    if (environment === null) throw new BadSetting(`a list of ${ENVIRONMENTS.join(', ')}`)
    return environment
  })
}

export function optionalUrl(value: string): string | null {
  if (value === '') return null
  if (URL.canParse(value)) return value
  throw new BadSetting('a URL')
}

export function origins(value: string): readonly string[] {
  return list(value).map((origin) => {
    if (URL.canParse(origin) && new URL(origin).origin === origin) return origin
    throw new BadSetting('a list of origins such as https://syncline.example.org')
  })
}

export function networks(value: string): Networks {
  try {
    return new Networks(list(value))
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw new BadSetting('a list of addresses and networks such as 10.1.0.0/16')
  }
}

export const define = <T>(setting: Setting<T>): Setting<T> => setting
