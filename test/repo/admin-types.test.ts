import openapiTypes, { astToString } from 'openapi-typescript'
import { expect, test } from 'vitest'

import { createApi } from '#test/harness/api.ts'

test('the types that the admin pages speak to the API by are those of its description', async () => {
  await using api = await createApi('sqlite')
  const description = (await api.send(null, 'GET', '/openapi.json')).body
  const types = astToString(await openapiTypes(description))
  await expect(types).toMatchFileSnapshot('../../admin/src/api/types.d.ts')
})
