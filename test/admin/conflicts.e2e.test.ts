/** Conflicts in a real browser: found by cause, looked at side by side, decided by keys, field by field and many at once. */
import type { Page } from 'playwright-core'
import { expect, test } from 'vitest'

import { Browser } from '#test/harness/browser.ts'
import { createDatabase, type Database } from '#test/harness/database.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { expectNoProgramSurvives } from '#test/harness/process.ts'
import { ServeUnderTest } from '#test/harness/serve.ts'
import { status, WebhookReceiver } from '#test/harness/webhook-receiver.ts'

expectNoProgramSurvives()

const LONG = 'The kettle holds one litre, is made of steel and keeps its water warm for two hours after it has boiled.'

interface World extends AsyncDisposable {
  readonly source: Database
  readonly target: Database
  readonly service: ServeUnderTest
  readonly browser: Browser
}

/** Two databases that were in step, with a sync config between them that leaves conflicts to somebody. */
async function createWorld(policies: object, env: Readonly<Record<string, string>> = {}): Promise<World> {
  await using stack = new AsyncDisposableStack()
  const source = stack.use(await createDatabase(sharedServers().source))
  const target = stack.use(await createDatabase(sharedServers().target))
  const tables = `CREATE TABLE product (id int PRIMARY KEY, title text, price numeric(10,2), note text, meta jsonb);
    CREATE TABLE customer (id int PRIMARY KEY, name text, email text UNIQUE)`
  await source.sql(`${tables};
    INSERT INTO product SELECT i, 'product ' || i, i, '${LONG}', '{"size": "small", "tags": ["new"]}'
      FROM generate_series(1, 40) i;
    INSERT INTO customer SELECT i, 'customer ' || i, 'c' || i || '@example.com' FROM generate_series(1, 300) i`)
  await target.sql(tables)
  const service = stack.use(await new ServeUnderTest(env).start())
  await service.ask('POST', '/api/v1/datasources', { name: 'shop', url: source.url })
  await service.ask('POST', '/api/v1/datasources', { name: 'copy', url: target.url, writable: true })
  await service.ask('POST', '/api/v1/sync-configs', {
    name: 'shop copy',
    source_datasource_id: 'shop',
    target_datasource_id: 'copy',
    delete_policy: 'delete',
    delete_scope: 'owned',
    ...policies,
  })
  await service.succeeded(await service.run())
  const browser = stack.use(await Browser.start(service.url))
  const owned = stack.move()
  return { source, target, service, browser, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

async function openConflicts({ browser }: World, key: string): Promise<Page> {
  const page = await browser.signIn(key)
  await page.keyboard.press('g')
  await page.keyboard.press('c')
  await page.getByRole('heading', { name: 'Conflicts', exact: true }).waitFor()
  return page
}

const heading = (page: Page, name: string | RegExp) => page.getByRole('heading', { level: 2, name }).waitFor()
const list = (page: Page) => page.getByRole('navigation', { name: 'Conflicts' })
const row = (page: Page, name: RegExp) => list(page).getByRole('link', { name })
const button = (page: Page, name: string | RegExp) =>
  page.getByRole('button', { name, exact: typeof name === 'string' })

test('UX 34, 36: conflicts are decided by keys alone, field by field, and one run carries all of it out', async () => {
  await using world = await createWorld({ conflict_strategy: 'merge', baseline: 'images' })
  const { source, target, service, browser } = world
  const quiet = await openConflicts(world, service.key)
  await heading(quiet, 'Nothing waits for a decision')
  await browser.look(quiet, 'conflicts-none')
  await quiet.close()

  await source.sql(`UPDATE product SET title = 'ours ' || id WHERE id <= 6;
    UPDATE product SET price = 99.5 WHERE id = 3;
    UPDATE product SET title = 'ours', note = replace(note, 'two hours', 'three hours'),
      meta = '{"size": "large", "tags": ["new"]}' WHERE id = 7;
    UPDATE product SET title = ' spaced ' WHERE id = 8; DELETE FROM product WHERE id = 9`)
  await target.sql(`UPDATE product SET title = 'theirs ' || id WHERE id <= 6;
    UPDATE product SET title = NULL, note = replace(note, 'steel', 'copper'),
      meta = '{"size": "small", "tags": ["new", "sale"]}' WHERE id = 7;
    UPDATE product SET title = '' WHERE id = 8; UPDATE product SET price = 1 WHERE id = 9`)
  await service.succeeded(await service.run())

  const page = await openConflicts(world, service.key)
  await page.getByText('9 conflicts wait for a decision.').waitFor()
  await heading(page, 'product id 1')
  await browser.look(page, 'conflicts-open')
  const told = page.locator('[aria-live=polite]', { hasText: 'Next' })

  await page.keyboard.press('a')
  await heading(page, 'product id 2')
  await told.getByText('product 1: the row of the source. Next: 2.').waitFor()
  await page.keyboard.press('b')
  await row(page, /^2 Decided: target/).waitFor()
  await row(page, /^4 /).click()
  await heading(page, 'product id 4')
  await page.keyboard.press('s')
  await heading(page, 'product id 5')
  await page.keyboard.press('j')
  await heading(page, 'product id 6')
  await page.keyboard.press('a')
  await row(page, /^6 Decided: source/).waitFor()
  await page.keyboard.press('u')
  await heading(page, 'product id 6')
  await row(page, /^6 Open/).waitFor()
  await page.keyboard.press('k')
  await heading(page, 'product id 5')
  await page.keyboard.press('Shift+?')
  await page.getByRole('dialog', { name: 'Keys' }).getByText('Take a decision back').waitFor()
  await page.keyboard.press('Escape')

  // What one side alone changed merges by itself.
  await row(page, /^3 /).click()
  await heading(page, 'product id 3')
  await button(page, /^Take merged/).waitFor()
  await browser.look(page, 'conflict-merges')
  await page.keyboard.press('m')
  await row(page, /^3 Decided: own row/).waitFor()

  // A row of its own, of both sides and of neither.
  await row(page, /^7 /).click()
  await heading(page, 'product id 7')
  const value = (field: string, of: RegExp) =>
    page.getByRole('radiogroup', { name: field }).getByRole('radio', { name: of }).check({ force: true })
  await value('note', /^source/)
  await page.getByText('Still to be chosen: title, meta.').waitFor()
  await value('meta', /^before/)
  await page.getByRole('radiogroup', { name: 'title' }).getByRole('button', { name: 'Another value' }).click()
  await page.getByLabel('Another value of title').fill('both of them')
  await browser.look(page, 'conflict-built')
  await button(page, 'Take this row').click()
  await row(page, /^7 Decided: own row/).waitFor()
  await row(page, /^8 /).click()
  await heading(page, 'product id 8')
  await browser.look(page, 'conflict-spaces')
  await page.keyboard.press('a')
  await row(page, /^8 Decided/).waitFor()
  await row(page, /^9 /).click()
  await heading(page, 'product id 9')
  await button(page, /^Take source/)
    .getByText('row deleted in the target')
    .waitFor()
  await browser.look(page, 'conflict-deleted')
  await page.keyboard.press('a')

  await button(page, 'Carry out 7 decisions').click()
  const dialog = page.getByRole('dialog', { name: 'Carry out decisions' })
  await dialog.getByText('7 decisions about rows of').waitFor()
  await browser.look(page, 'conflicts-carry-out')
  await dialog.getByRole('button', { name: 'Carry out 7 decisions' }).click()
  await page.getByText('The run that carries out decisions has ended').waitFor({ timeout: 60_000 })
  await page.getByText('2 conflicts wait for a decision.').waitFor()
  const after = `SELECT id, title, price, note LIKE '%three hours%', meta ->> 'size' FROM product WHERE id <= 9 ORDER BY id`
  expect(await target.sql(after)).toEqual([
    ['1', 'ours 1', '1.00', 'f', 'small'],
    ['2', 'theirs 2', '2.00', 'f', 'small'],
    ['3', 'theirs 3', '99.50', 'f', 'small'],
    ['4', 'theirs 4', '4.00', 'f', 'small'],
    ['5', 'theirs 5', '5.00', 'f', 'small'],
    ['6', 'theirs 6', '6.00', 'f', 'small'],
    ['7', 'both of them', '7.00', 't', 'small'],
    ['8', ' spaced ', '8.00', 'f', 'small'],
  ])

  // The version that lost is kept, and can be taken after all.
  await page
    .getByRole('radiogroup', { name: 'Status' })
    .getByText(/^Carried out/)
    .click()
  await row(page, /^1 Carried out/).click()
  await page.getByText('The version that lost is kept').waitFor()
  await browser.look(page, 'conflict-carried-out')
  await page.keyboard.press('b')
  await button(page, 'Carry out 1 decision').click()
  await dialog.getByRole('button', { name: 'Carry out 1 decision' }).click()
  await expect.poll(async () => (await target.sql('SELECT title FROM product WHERE id = 1'))[0]).toEqual(['theirs 1'])
  await page.getByText('The run that carries out decisions has ended').waitFor({ timeout: 60_000 })

  // Another row has a unique value: what becomes of it is said before anything is decided.
  await target.sql(`INSERT INTO customer VALUES (901, 'theirs', 'same@example.com')`)
  await source.sql(`INSERT INTO customer VALUES (902, 'ours', 'same@example.com')`)
  await service.succeeded(await service.run())
  await page.goto(`${service.url}/conflicts?kind=unique_clash`)
  await heading(page, 'customer id 902')
  const holder = page.getByRole('region', { name: 'The row in the way' })
  await holder.getByText('In the way: the row 901 of the target').waitFor()
  await holder.getByText('Where the row of the source is taken, it loses email').waitFor()
  await browser.look(page, 'conflict-clash')
  browser.expectQuiet(/status of 401/)
})

test('UX 34: many are decided at once as they were shown, a rule decides later ones, and what has moved is open again', async () => {
  await using world = await createWorld({ conflict_strategy: 'manual' })
  const { source, target, service, browser } = world
  const edit = async (from: number, to: number): Promise<void> => {
    await source.sql(`UPDATE customer SET name = 'ours ' || id WHERE id BETWEEN ${from} AND ${to}`)
    await target.sql(`UPDATE customer SET name = 'theirs ' || id WHERE id BETWEEN ${from} AND ${to}`)
  }
  await edit(1, 240)
  await source.sql(`UPDATE product SET title = 'ours' WHERE id <= 3`)
  await target.sql(`UPDATE product SET title = 'theirs' WHERE id <= 3`)
  await service.succeeded(await service.run())

  const page = await openConflicts(world, service.key)
  await page.getByText('243 conflicts wait for a decision.').waitFor()
  await browser.look(page, 'conflicts-causes')
  await page
    .getByRole('region', { name: 'Causes' })
    .getByRole('button', { name: /customer name/ })
    .click()
  await page.getByText('240 conflicts', { exact: true }).waitFor()
  expect(new URL(page.url()).searchParams.get('table')).toBe('customer')
  await button(page, 'Decide all 240').click()
  const bulk = page.getByRole('dialog', { name: 'Decide all of them' })
  await bulk.getByText('This is about 240 conflicts.').waitFor()
  await bulk.getByLabel(/Take the source/).check()
  await bulk.getByLabel(/Always do so/).check()
  await browser.look(page, 'conflicts-bulk')

  // Somebody else decides meanwhile: these are not those that were looked at.
  const { items } = (await service.ask('GET', '/api/v1/conflicts?table=customer&limit=1')) as {
    items: readonly { id: string; config_id: string }[]
  }
  const [first] = items
  const decide = `/api/v1/sync/${first?.config_id}/resolve/${first?.id}`
  await service.ask('POST', decide, { take: 'target', start: false })
  await bulk.getByRole('button', { name: 'Decide 240 conflicts' }).click()
  await bulk.getByRole('alert').getByText('Nothing was decided.').waitFor()
  await bulk.getByRole('button', { name: 'Look again' }).click()
  await bulk.getByRole('button', { name: 'Decide 239 conflicts' }).click()
  await button(page, 'Carry out 240 decisions').waitFor()

  // A side of one of them changes once more before they are carried out.
  await source.sql(`UPDATE customer SET name = 'newer' WHERE id = 100`)
  await button(page, 'Rules').click()
  const rules = page.getByRole('dialog', { name: 'Rules for conflicts' })
  await rules.getByRole('table', { name: 'Rules' }).getByText('the row of the source').waitFor()
  await browser.look(page, 'conflicts-rules')
  await rules.getByRole('button', { name: 'Remove' }).click()
  await rules.getByText('There are no rules').waitFor()
  await page.keyboard.press('Escape')
  await button(page, 'Carry out 240 decisions').click()
  const dialog = page.getByRole('dialog', { name: 'Carry out decisions' })
  await dialog.getByRole('button', { name: 'Carry out 240 decisions' }).click()
  await page.getByText('The run that carries out decisions has ended').waitFor({ timeout: 60_000 })
  const names = `SELECT count(*) FILTER (WHERE name = 'ours ' || id), count(*) FILTER (WHERE name = 'theirs ' || id)
    FROM customer WHERE id <= 240`
  expect(await target.sql(names)).toEqual([['238', '2']])

  await row(page, /^100 Opened again/).click()
  await page.getByText('A decision did not apply').waitFor()
  await browser.look(page, 'conflict-opened-again')
  await button(page, 'Decide all of this cause').click()
  await bulk.getByLabel(/Leave both/).check()
  await bulk.getByLabel(/Always do so/).check()
  await bulk.getByRole('button', { name: 'Decide 1 conflict' }).click()
  await row(page, /^100 Decided: leave both/).waitFor()
  await edit(250, 260)
  await service.succeeded(await service.run())
  expect(await service.ask('GET', '/api/v1/conflicts?table=customer&limit=1')).toMatchObject({ counts: { open: 0 } })

  // By its key, and a filter that nothing passes.
  await page.goto(`${service.url}/conflicts?table=product`)
  await page.getByLabel('Key of the row').fill('2')
  await page.keyboard.press('Enter')
  await heading(page, 'product id 2')
  await page.getByLabel('Key of the row').fill('4711')
  await page.keyboard.press('Enter')
  await heading(page, 'No conflict is like this')
  browser.expectQuiet(/status of 401/, /status of 412/)
})

test('S9, S10: a viewer sees which rows and columns, no values, and nothing to decide', async () => {
  await using world = await createWorld({ conflict_strategy: 'manual' })
  const { source, target, service, browser } = world
  await source.sql(`UPDATE product SET title = 'secret of the source' WHERE id = 1`)
  await target.sql(`UPDATE product SET title = 'secret of the target' WHERE id = 1`)
  await service.succeeded(await service.run())
  const { key } = await service.ask('POST', '/api/v1/keys', { name: 'onlooker', role: 'viewer' })
  const page = await openConflicts(world, String(key))
  await heading(page, 'product id 1')
  await page.getByText('Values of rows are shown to operators and admins').waitFor()
  await browser.look(page, 'conflict-viewer')
  expect(await page.content()).not.toContain('secret of the')
  expect(await page.getByRole('button', { name: /^(Take|Leave|Decide|Carry)/ }).count()).toBe(0)
  await page.keyboard.press('a')
  await page.keyboard.press('Shift+?')
  await page.getByRole('dialog', { name: 'Keys' }).getByText('Next conflict').waitFor()
  expect(await page.getByText('Take the row of the source').count()).toBe(0)
  expect(await service.ask('GET', '/api/v1/conflicts')).toMatchObject({ counts: { open: 1, resolved: 0 } })
  await page.keyboard.press('Escape')
  await page.setViewportSize({ width: 390, height: 800 })
  await browser.look(page, 'conflict-phone')
  expect(await page.evaluate<number>('document.documentElement.scrollWidth')).toBe(390)
  browser.expectQuiet(/status of 401/)
})

test('a protected target is written once its name is typed; what a webhook was asked, and why it failed, is shown', async () => {
  await using receiver = await WebhookReceiver.start()
  await using world = await createWorld(
    { conflict_strategy: 'webhook', webhook_url: receiver.url },
    { SYNCLINE_WEBHOOK_NETWORKS: '127.0.0.0/8', PROTECTED_ENVIRONMENTS: 'production' },
  )
  const { source, target, service, browser } = world
  receiver.answer = status(500)
  await service.cli(['configs', 'webhook-secret', 'shop copy'])
  await source.sql(`UPDATE product SET title = 'ours' WHERE id = 1`)
  await target.sql(`UPDATE product SET title = 'theirs' WHERE id = 1`)
  await service.succeeded(await service.run())
  await expect.poll(() => receiver.asked.length).toBeGreaterThan(0)
  const copy = await service.ask('GET', '/api/v1/datasources/copy')
  const production = { name: 'copy', url: target.url, writable: true, environment: 'production' }
  await service.ask('PUT', `/api/v1/datasources/${String(copy['id'])}`, production)

  const page = await openConflicts(world, service.key)
  const asked = page.getByRole('region', { name: 'Webhook' })
  await asked.getByText('The last attempt failed: The webhook answered 500.').waitFor()
  await asked.getByText(receiver.url).waitFor()
  await browser.look(page, 'conflict-webhook')
  await page.keyboard.press('a')
  await button(page, 'Carry out 1 decision').click()
  const dialog = page.getByRole('dialog', { name: 'Carry out decisions' })
  const go = dialog.getByRole('button', { name: 'Carry out 1 decision' })
  expect(await go.isDisabled()).toBe(true)
  await dialog.getByLabel('Type copy to write to what is protected').fill('copy')
  await browser.look(page, 'conflicts-protected')
  await go.click()
  await expect.poll(async () => (await target.sql('SELECT title FROM product WHERE id = 1'))[0]).toEqual(['ours'])
  browser.expectQuiet(/status of 401/)
})
