/** What somebody who writes a mapping asks before anything is saved: what there is to write, and what would not fit. */
import { expect, test } from 'vitest'

import { createApi } from '#test/harness/api.ts'
import { createDatabase } from '#test/harness/database.ts'
import { sharedServers } from '#test/harness/postgres.ts'

interface Word {
  readonly name: string
  readonly arguments: readonly { readonly name: string; readonly required: boolean; readonly schema: object }[]
}

test('the transforms and rules that there are, with what they take', async () => {
  await using api = await createApi('sqlite')
  const { secret } = await api.key('viewer')
  const transforms = (await api.send(secret, 'GET', '/api/v1/transforms')).json<{ items: readonly Word[] }>().items
  expect(transforms.length).toBeGreaterThan(100)
  expect(transforms.find(({ name }) => name === 'truncate')?.arguments).toContainEqual(
    expect.objectContaining({ name: 'length', required: true, schema: expect.objectContaining({ minimum: 1 }) }),
  )
  const { items: rules } = (await api.send(secret, 'GET', '/api/v1/rules')).json<{ items: readonly object[] }>()
  expect(rules).toContainEqual(expect.objectContaining({ name: 'range', example: { min: 0, max: expect.any(String) } }))
  expect(rules).toContainEqual(
    expect.objectContaining({ name: 'required', schema: expect.objectContaining({ const: true }) }),
  )
})

test('UX 31: a mapping that is not saved is judged column by column, with the rows that do not fit where they are counted', async () => {
  await using source = await createDatabase(sharedServers().source)
  await using target = await createDatabase(sharedServers().target)
  await source.sql(
    `CREATE TABLE p (id int PRIMARY KEY, name text); INSERT INTO p VALUES (1, 'short'), (2, 'far too long')`,
  )
  await target.sql('CREATE TABLE p (id int PRIMARY KEY, label varchar(5), made date)')
  await using api = await createApi('sqlite')
  const admin = (await api.key('admin')).secret
  for (const [name, url] of [
    ['from', source.url],
    ['to', target.url],
  ]) {
    const made = await api.send(admin, 'POST', '/api/v1/datasources', { body: { name, url } })
    expect(made.statusCode, made.body).toBe(201)
  }
  const config = {
    name: 'draft',
    source_datasource_id: 'from',
    target_datasource_id: 'to',
    tables: [
      {
        source: 'p',
        field_mappings: [
          { target: 'id', column: 'id' },
          { target: 'label', column: 'name' },
          { target: 'made', column: 'id' },
        ],
      },
    ],
  }
  const ask = async (body: object) =>
    (
      await api.send(admin, 'POST', '/api/v1/sync-configs/validate', { body: { config, table: 'p', ...body } })
    ).json<object>()
  expect(await ask({ count: false })).toMatchObject({
    ready: false,
    fields: [
      { target: 'id', verdict: 'lossless', misfits: null },
      { target: 'label', verdict: 'checked', target_type: 'character varying(5)', misfits: null },
      { target: 'made', verdict: 'impossible', next_step: expect.any(String) },
    ],
    counted: null,
  })
  expect(await ask({})).toMatchObject({
    fields: [{}, { target: 'label', misfits: { rows: 1, keys: [['2']] } }, {}],
    counted: { rows: 2, partial: false },
  })
  expect(await ask({ table: 'nothing' })).toMatchObject({ code: 'table_not_found' })
})
