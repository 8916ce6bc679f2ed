import { expect, test } from 'vitest'
import { copyDraftOf, copyRequestAfter, copyRequestOf, EMPTY_COPY } from '#features/dumps/copy-draft.ts'
import type { Job } from '#features/jobs/queries.ts'

const NAMES = { source: 'staging', target: 'copy' }

const ASKED = {
  content: 'all',
  schemas: null,
  exclude_schemas: ['audit'],
  tables: ['sales.*', 'customer'],
  exclude_tables: ['log'],
  owners: false,
  grants: true,
  parallel: 3,
  filters: [{ table: 'customer', where: 'id > 1' }],
  masks: [{ table: 'customer', column: 'e-mail', transforms: ['token'] }],
  replace: true,
  backup: false,
  trust_source: true,
} as const

function jobOf(copy: object): Job {
  return { copy, source_datasource_id: 'ds_1', target_datasource_id: 'ds_2' } as unknown as Job
}

test('UX 43: a request says only what is not as it would be anyway, and the form comes back from a plan as it was', () => {
  expect(copyRequestOf(EMPTY_COPY, NAMES)).toEqual(NAMES)
  const draft = copyDraftOf(jobOf(ASKED))
  expect(draft).toMatchObject({
    source: 'ds_1',
    target: 'ds_2',
    part: 'tables',
    withoutSchemas: ['audit'],
    trust: true,
  })
  const { schemas: _, content: __, owners: ___, ...said } = ASKED
  expect(copyRequestOf(draft, NAMES)).toEqual({ ...NAMES, ...said })
})

test('a filter in which nothing is written yet is none', () => {
  const filters = [
    { table: '', where: ' ' },
    { table: 'a', where: '' },
  ]
  expect(copyRequestOf({ ...EMPTY_COPY, filters }, NAMES)).toEqual({ ...NAMES, filters: [filters[1]] })
})

test('UX 9: what is done is what was planned, and nothing that the plan did not name is replaced', () => {
  const both = jobOf({ ...ASKED, schemas: ['sales'] })
  expect(copyRequestAfter(both, { ...NAMES, replaces: true })).toMatchObject({ schemas: ['sales'], replace: true })
  expect(copyRequestAfter(both, { ...NAMES, replaces: false })).not.toHaveProperty('replace')
  const some = jobOf({ ...ASKED, schemas: ['sales'], tables: null })
  expect(copyRequestAfter(some, { ...NAMES, replaces: true })).toMatchObject({ schemas: ['sales'] })
})
