import { locateDatabase, type DescribedDatabase } from '#adapters/registry.ts'
import { describeConnection } from '#model/datasource.ts'
import { WritePermit } from '#model/write-protection.ts'

/** A database of a test may be written by the test. */
export function permitWrite(place: string | DescribedDatabase): WritePermit {
  const address = typeof place === 'string' ? locateDatabase(place).address : describeConnection(place.connection)
  const consent = { allowProtectedWrite: true }
  return WritePermit.forNamed({ address, environment: 'local' }, consent, { protectedEnvironments: [] })
}
