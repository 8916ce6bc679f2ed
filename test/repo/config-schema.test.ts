import { expect, test } from 'vitest'

import { configFileSchema } from '#api/contract/config-file.ts'

const schema = configFileSchema()

test('docs/config.schema.json is the schema by which configuration files are checked', async () => {
  await expect(`${JSON.stringify(schema, null, 2)}\n`).toMatchFileSnapshot('../../docs/config.schema.json')
})

test('every field of it is described, so that editors can say what it is', () => {
  const undescribed: string[] = []
  const look = (node: unknown, path: string): void => {
    if (typeof node !== 'object' || node === null) return
    for (const [name, field] of Object.entries(node)) {
      const of = `${path}/${name}`
      if (path.endsWith('/properties') && typeof field === 'object' && field !== null) {
        if (!('description' in field) && !('$ref' in field)) undescribed.push(of)
      }
      look(field, of)
    }
  }
  look(schema, '')
  expect(undescribed).toEqual([])
})
