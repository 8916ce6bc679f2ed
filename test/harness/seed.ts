import { randomInt } from 'node:crypto'

/** The seed of a property test, printed so that a failure can be repeated with SYNCLINE_TEST_SEED. */
export function printedSeed(): number {
  const given = process.env['SYNCLINE_TEST_SEED']
  const seed = given === undefined ? randomInt(2 ** 31) : Number(given)
  console.log(`seed ${seed} (SYNCLINE_TEST_SEED=${seed} repeats it)`)
  return seed
}
