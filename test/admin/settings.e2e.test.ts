/** The settings, in a real browser: keys, sessions, a Redis, and what runs here. */
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
