/** What a database is to the people who depend on it. */
export const ENVIRONMENTS = ['production', 'staging', 'development', 'training', 'local'] as const

export type Environment = (typeof ENVIRONMENTS)[number]

/** A write to one of these needs a second yes. */
const PROTECTED: readonly Environment[] = ['production', 'staging']

const SHORT: Readonly<Record<string, Environment>> = {
  prod: 'production',
  stage: 'staging',
  dev: 'development',
}

/** The environment that a word names, in full or in short, or null. */
export function parseEnvironment(word: string): Environment | null {
  return ENVIRONMENTS.find((environment) => environment === word) ?? SHORT[word] ?? null
}

/** What a database counts as: what somebody said, else `local` on this machine, else the most careful assumption. */
export function environmentOf(server: { readonly local: boolean }, stated: Environment | null): Environment {
  return stated ?? (server.local ? 'local' : 'production')
}

export function isProtected(environment: Environment): boolean {
  return PROTECTED.includes(environment)
}
