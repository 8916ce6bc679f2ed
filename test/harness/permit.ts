import { locateDatabase } from '#adapters/registry.ts'
import { WritePermit } from '#model/write-protection.ts'

/** A database of a test may be written by the test. */
export function permitWrite(url: string): WritePermit {
  const { address } = locateDatabase(url)
  const consent = { allowProtectedWrite: true }
  return WritePermit.forNamed({ address, environment: 'local' }, consent, { protectedEnvironments: [] })
}
