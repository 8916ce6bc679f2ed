import { expect, test } from 'vitest'
import { draftOf, EMPTY_IMPORT, requestAfter, requestOf } from '#features/dumps/import-draft.ts'
import type { Job } from '#features/jobs/queries.ts'

test('UX 43: a request says only what is not as it would be anyway, and the form comes back from a plan as it was', () => {
  expect(requestOf(EMPTY_IMPORT, 'dmp_1', 'copy')).toEqual({ datasource: 'copy', dump: 'dmp_1' })
  const draft = {
    ...EMPTY_IMPORT,
    dump: 'dmp_1',
    datasource: 'ds_1',
    replace: true,
    backup: false,
    swap: true,
    passphrase: 'env:P',
  }
  expect(requestOf(draft, 'dmp_1', 'copy')).toEqual({
    datasource: 'copy',
    dump: 'dmp_1',
    replace: true,
    backup: false,
    swap: true,
    passphrase_reference: 'env:P',
  })
  const asked = {
    dump: 'dmp_1',
    replace: true,
    backup: false,
    swap: true,
    trust_file: false,
    owners: false,
    grants: false,
    passphrase_reference: 'env:P',
  }
  expect(draftOf({ import: asked, target_datasource_id: 'ds_1' } as Job)).toEqual(draft)
})

test('SPEC 7: readers read on until the end only of what is replaced', () => {
  expect(requestOf({ ...EMPTY_IMPORT, swap: true }, 'dmp_1', 'copy')).toEqual({ datasource: 'copy', dump: 'dmp_1' })
})

test('UX 9: what comes to be there after a plan that named nothing to replace is not replaced', () => {
  const draft = { ...EMPTY_IMPORT, replace: true }
  const after = { dump: 'dmp_1', datasource: 'copy' }
  expect(requestAfter(draft, { ...after, replaces: false })).toEqual(after)
  expect(requestAfter(draft, { ...after, replaces: true })).toEqual({ ...after, replace: true })
})
