/** What is around every admin page, in a real browser: signing in, going places by keys, colours, and how much is loaded. */
import { gzipSync } from 'node:zlib'

import { expect, test } from 'vitest'

import { Browser } from '#test/harness/browser.ts'
import { expectNoProgramSurvives } from '#test/harness/process.ts'
import { ServeUnderTest } from '#test/harness/serve.ts'

expectNoProgramSurvives()

/** Whoever is not signed in is refused first, and browsers write every refusal down. */
const REFUSED = /status of 401/

const FIRST_LOAD_BYTES = 200_000

test('UX 37 to 39, 46: signed in by a key one gets where one wanted, by mouse or keys, in any colours', async () => {
  await using service = await new ServeUnderTest().start()
  await using browser = await Browser.start(service.url)
  const page = await browser.open('/nothing/of/ours')
  await page.getByText('There is no such page').waitFor()
  await page.getByRole('link', { name: 'Go to the dashboard' }).click()
  await page.getByLabel('API key').fill('wrong')
  await browser.look(page, 'sign-in')
  await page.keyboard.press('Enter')
  await page.getByRole('alert').getByText('The key is wrong, revoked or expired.').waitFor()
  await page.getByLabel('API key').fill(service.key)
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { name: 'Dashboard' }).waitFor()
  await page.keyboard.press('Control+k')
  await page.getByPlaceholder('Search or go to').fill('dash')
  await page.keyboard.press('Enter')
  await page.getByPlaceholder('Search or go to').waitFor({ state: 'detached' })
  await page.keyboard.press('Shift+?')
  await page.getByRole('dialog', { name: 'Keys' }).waitFor()
  await browser.look(page, 'keys')
  await page.keyboard.press('Escape')

  await page.getByRole('button', { name: 'Colours' }).click()
  await page.getByRole('menuitemradio', { name: 'Dark' }).click()
  await page.reload()
  await page.getByRole('heading', { name: 'Dashboard' }).waitFor()
  expect(await page.locator('html').getAttribute('data-mantine-color-scheme')).toBe('dark')

  await page.getByRole('button', { name: /Signed in with the key/ }).click()
  await page.getByRole('menuitem', { name: 'Sign out' }).click()
  await page.getByLabel('API key').waitFor()
  browser.expectQuiet(REFUSED)
})

test('the first key is made by the page, with the setup token', async () => {
  await using service = new ServeUnderTest()
  const token = await service.startWithoutKey()
  await using browser = await Browser.start(service.url)
  const page = await browser.open('/')
  await page.getByRole('button', { name: 'Make the first key' }).click()
  await browser.look(page, 'first-key')
  await page.getByLabel('Setup token').fill(token)
  await page.getByRole('button', { name: 'Make the key' }).click()
  await page.getByText('It is shown this once').waitFor()
  await page.getByRole('button', { name: 'I have kept it: sign in' }).click()
  await page.getByRole('heading', { name: 'Dashboard' }).waitFor()
  browser.expectQuiet(REFUSED)
})

test('UX 48: what is loaded before the first page is there stays below 200 kB, and is packed', async () => {
  await using service = await new ServeUnderTest().start()
  const document = await (await fetch(service.url)).text()
  const parts = [...document.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map(([, path]) => path ?? '')
  expect(parts.length).toBeGreaterThan(3)
  const sizes = await Promise.all(
    parts.map(async (path) => {
      const answer = await fetch(`${service.url}${path}`)
      const bytes = Buffer.from(await answer.arrayBuffer())
      const packed = bytes.length < 2_000 || answer.headers.get('content-encoding') === 'gzip'
      expect(packed, path).toBe(true)
      return gzipSync(bytes, { level: 9 }).length
    }),
  )
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(FIRST_LOAD_BYTES)
})
