/** The settings, in a real browser: keys, sessions, a Redis, and what runs here. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'

import { Browser } from '#test/harness/browser.ts'
import { expectNoProgramSurvives } from '#test/harness/process.ts'
import { startRedis } from '#test/harness/redis.ts'
import { ServeUnderTest } from '#test/harness/serve.ts'

expectNoProgramSurvives()

/** Whoever is not signed in is refused first, and browsers write every refusal down. */
const REFUSED = /status of 401/

test('UX 63: a key is made, shown once, used, and revoked', async () => {
  await using service = await new ServeUnderTest().start()
  await using browser = await Browser.start(service.url)
  const page = await browser.signIn(service.key)
  await page.keyboard.press('g')
  await page.keyboard.press('e')
  await page.getByRole('cell', { name: 'admin this one' }).waitFor()
  await page.getByRole('button', { name: 'Make a key' }).click()
  const dialog = page.getByRole('dialog', { name: 'Make a key' })
  await dialog.getByLabel('Name').fill('nightly')
  await dialog.getByRole('combobox', { name: 'Role' }).click()
  await page.getByRole('option', { name: /^Operator/ }).click()
  await browser.look(page, 'key-new')
  await dialog.getByRole('button', { name: 'Make the key' }).click()
  const made = page.getByRole('dialog', { name: 'The key nightly' })
  await made.getByText('It is shown this once').waitFor()
  await browser.look(page, 'key-made')
  const key = (await made.locator('pre').textContent()) ?? ''
  await made.getByRole('button', { name: 'I have kept it' }).click()

  const ask = (): Promise<Response> => fetch(`${service.url}/api/v1/session`, { headers: { 'x-api-key': key } })
  expect(await (await ask()).json()).toMatchObject({ key: { name: 'nightly', role: 'operator' } })
  await page.reload()
  await page
    .getByRole('row', { name: /nightly/ })
    .getByText('just now')
    .first()
    .waitFor()
  await browser.look(page, 'keys')
  await page.getByRole('button', { name: 'Revoke nightly' }).click()
  await browser.look(page, 'key-revoke')
  await page.getByRole('dialog', { name: 'Revoke nightly' }).getByRole('button', { name: 'Revoke key' }).click()
  await page.getByRole('row', { name: /nightly/ }).waitFor({ state: 'detached' })
  expect((await ask()).status).toBe(401)
  await page.getByLabel('Also the 1 that were revoked or have expired').click()
  await page
    .getByRole('row', { name: /nightly/ })
    .getByText('Revoked')
    .waitFor()
  browser.expectQuiet(REFUSED)
})

test('sessions are ended from another browser; what runs here is told', async () => {
  await using service = await new ServeUnderTest().start()
  const { key } = await service.ask('POST', '/api/v1/keys', { name: 'guest', role: 'viewer' })
  await using browser = await Browser.start(service.url)
  await using other = await Browser.start(service.url)
  const page = await browser.signIn(service.key)
  const guest = await other.signIn(String(key))
  await page.goto(`${service.url}/settings?tab=sessions`)
  await page.getByRole('row', { name: /guest/ }).waitFor()
  await browser.look(page, 'sessions')
  await page.getByRole('row', { name: /guest/ }).getByRole('button', { name: 'End session' }).click()
  await page.getByRole('row', { name: /guest/ }).waitFor({ state: 'detached' })
  await guest.reload()
  await guest.getByLabel('API key').waitFor()

  await page.getByRole('tab', { name: 'About' }).click()
  await page.getByText('A SQLite file of the data directory').waitFor()
  await browser.look(page, 'about')
  browser.expectQuiet(REFUSED)
  other.expectQuiet(REFUSED)
})

test('SPEC 8: a Redis is tested step by step, set up, and removed again', async () => {
  await using redis = await startRedis({ password: 'sesame-77' })
  await using service = await new ServeUnderTest().start()
  await using browser = await Browser.start(service.url)
  const page = await browser.signIn(service.key)
  await page.goto(`${service.url}/settings?tab=redis`)
  await page.getByText('No Redis is used').waitFor()
  await browser.look(page, 'redis-none')
  await page.getByRole('textbox', { name: 'URL' }).fill(redis.url.replace('sesame-77', 'wrong'))
  await page.getByRole('button', { name: 'Test it first' }).click()
  await page.getByText(/^Failed at/).waitFor()
  await browser.look(page, 'redis-failed')
  await page.getByRole('textbox', { name: 'URL' }).fill(redis.url)
  await page.getByRole('button', { name: 'Set up', exact: true }).click()
  await page.getByText('Set up here').waitFor()
  expect(await page.content()).not.toContain('sesame-77')
  await page.getByRole('button', { name: 'Test Redis' }).click()
  await page.getByText(/^Connected/).waitFor()
  await browser.look(page, 'redis')
  await page.getByRole('button', { name: 'Remove the setting' }).click()
  const dialog = page.getByRole('dialog', { name: 'Remove the Redis setting' })
  await dialog.getByRole('button', { name: 'Remove the setting' }).click()
  await page.getByText('No Redis is used').waitFor()
  browser.expectQuiet(REFUSED)
})

test('a Redis of the environment is shown, and is not taken away here', async () => {
  await using redis = await startRedis()
  await using service = await new ServeUnderTest({ REDIS_URL: redis.url }).start()
  await using browser = await Browser.start(service.url)
  const page = await browser.signIn(service.key)
  await page.goto(`${service.url}/settings?tab=redis`)
  await page.getByText('From REDIS_URL in the environment').waitFor()
  expect(await page.getByRole('button', { name: 'Remove the setting' }).count()).toBe(0)
  browser.expectQuiet(REFUSED)
})

test('a viewer sees their own sessions and what runs, and nothing else', async () => {
  await using service = await new ServeUnderTest().start()
  const { key } = await service.ask('POST', '/api/v1/keys', { name: 'guest', role: 'viewer' })
  await using browser = await Browser.start(service.url)
  const page = await browser.signIn(String(key))
  await page.goto(`${service.url}/settings?tab=keys`)
  await page.getByRole('cell', { name: /guest/ }).waitFor()
  expect(await page.getByRole('tab').allTextContents()).toEqual(['Sessions', 'About'])
  await browser.look(page, 'settings-viewer')
  browser.expectQuiet(REFUSED)
})

test('S62: for how long things are kept is set by somebody, and by the environment first', async () => {
  await using service = await new ServeUnderTest({ AUDIT_RETENTION_DAYS: '730' }).start()
  await using browser = await Browser.start(service.url)
  const page = await browser.signIn(service.key)
  await page.goto(`${service.url}/settings?tab=retention`)
  await page.getByText('AUDIT_RETENTION_DAYS comes before what is set here.').waitFor()
  await browser.look(page, 'retention')
  await page.getByLabel('Ended jobs').fill('0')
  await page.getByRole('button', { name: 'Save' }).click()
  await page.getByRole('dialog', { name: 'Keep less' }).getByRole('button', { name: 'Keep less' }).click()
  await page.getByText('This must be at least 1.').first().waitFor()
  await page.getByLabel('Ended jobs').fill('120')
  await page.getByLabel('Rows that jobs wrote').fill('7')
  await page.getByLabel('Room for dumps').fill('1.5')
  await page.getByRole('button', { name: 'Save' }).click()
  const dialog = page.getByRole('dialog', { name: 'Keep less' })
  await dialog.getByText('Rows that jobs wrote: 7 days in place of 30').waitFor()
  await dialog.getByText('Room for dumps: 1.5 GiB in place of 100 GiB').waitFor()
  await browser.look(page, 'retention-less')
  await dialog.getByRole('button', { name: 'Keep less' }).click()
  await page.getByText(/^Set just now/).waitFor()
  expect(await service.ask('GET', '/api/v1/settings/retention')).toMatchObject({
    entries: [
      { of: 'jobs', days: 120, source: 'store' },
      { of: 'history', days: 7, source: 'store' },
      { of: 'audit', days: 730, source: 'environment' },
      { of: 'dumps', days: 90, source: 'default' },
    ],
    space: [
      { of: 'dumps', bytes: 1.5 * 1024 ** 3, source: 'store' },
      { of: 'free', bytes: 1024 ** 3, source: 'default' },
    ],
  })
  browser.expectQuiet(/status of 40[01]/)
})

test('an AI endpoint is tested, set up, and removed again; its key is not shown', async () => {
  const server = createServer((request, response) => {
    const isRight = request.headers.authorization === 'Bearer sesame-78'
    const content = JSON.stringify({ fields: [{ target: 'email', source: 'e_mail', confidence: 0.9 }] })
    response.writeHead(isRight ? 200 : 401, { 'content-type': 'application/json' })
    request.resume().on('end', () => response.end(JSON.stringify({ choices: [{ message: { content } }] })))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  await using stack = new AsyncDisposableStack()
  stack.defer(async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  })
  const service = stack.use(await new ServeUnderTest().start())
  const browser = stack.use(await Browser.start(service.url))
  const page = await browser.signIn(service.key)
  await page.goto(`${service.url}/settings?tab=ai`)
  await page.getByText('No model is asked').waitFor()
  await browser.look(page, 'ai-none')
  await page.getByRole('textbox', { name: 'URL' }).fill(`http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`)
  await page.getByRole('textbox', { name: 'Model' }).fill('small')
  await page.getByLabel('Key', { exact: true }).last().fill('wrong')
  await page.getByRole('button', { name: 'Test it first' }).click()
  await page
    .getByText(/does not take the key/)
    .first()
    .waitFor()
  await browser.look(page, 'ai-failed')
  await page.getByLabel('Key', { exact: true }).last().fill('sesame-78')
  await page.getByRole('button', { name: 'Set up', exact: true }).click()
  await page.getByText('Set up here').waitFor()
  expect(await page.content()).not.toContain('sesame-78')
  await page.getByRole('button', { name: 'Test model' }).click()
  await page.getByText('small answers in the form that is asked for').waitFor()
  await browser.look(page, 'ai')
  await page.getByRole('button', { name: 'Remove the setting' }).click()
  const dialog = page.getByRole('dialog', { name: 'Remove the model' })
  await dialog.getByRole('button', { name: 'Remove the setting' }).click()
  await page.getByText('No model is asked').waitFor()
  browser.expectQuiet(REFUSED)
})
