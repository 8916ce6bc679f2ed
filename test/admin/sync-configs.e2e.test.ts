/** Sync configs in the admin pages: made, mapped by lines and by a table, tried, run, edited as text, and taken back. */
import type { Page } from 'playwright-core'
import { expect, test } from 'vitest'

import { Browser, choose } from '#test/harness/browser.ts'
import { createDatabase, type Database } from '#test/harness/database.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { expectNoProgramSurvives } from '#test/harness/process.ts'
import { ServeUnderTest, type Answer } from '#test/harness/serve.ts'

expectNoProgramSurvives()

/** Whoever is not signed in is refused first, and browsers write every refusal down. */
const REFUSED = /status of 401/

const SOURCE = `CREATE TABLE kunden (kundennummer int PRIMARY KEY, vorname text, nachname text, e_mail text, notiz text);
  INSERT INTO kunden SELECT i, 'V' || i, 'N' || i, 'MAIL' || i || '@EXAMPLE.ORG', 'note ' || i FROM generate_series(1, 12) i;
  CREATE TABLE artikel (id int PRIMARY KEY, name text); INSERT INTO artikel VALUES (1, 'Ring')`
const TARGET = `CREATE TABLE customers (id int PRIMARY KEY, full_name text, email text, note varchar(6), region text);
  CREATE TABLE artikel (id int PRIMARY KEY, name text)`

interface Ends extends AsyncDisposable {
  readonly source: Database
  readonly target: Database
  readonly service: ServeUnderTest
  readonly browser: Browser
}

async function open(): Promise<Ends> {
  await using stack = new AsyncDisposableStack()
  const source = stack.use(await createDatabase(sharedServers().source))
  const target = stack.use(await createDatabase(sharedServers().target))
  await source.sql(SOURCE)
  await target.sql(TARGET)
  const service = stack.use(await new ServeUnderTest().start())
  await service.ask('POST', '/api/v1/datasources', { name: 'erp', url: source.url })
  await service.ask('POST', '/api/v1/datasources', { name: 'crm', url: target.url, writable: true })
  const browser = stack.use(await Browser.start(service.url))
  const held = stack.move()
  return { source, target, service, browser, [Symbol.asyncDispose]: () => held.disposeAsync() }
}

async function drag(page: Page, from: string, to: string): Promise<void> {
  const [start, end] = [
    page.getByTitle(`${from}: drag to a column of the target`),
    page.getByTitle(`${to}: what is dragged here feeds it`),
  ]
  await start.hover()
  await page.mouse.down()
  await end.hover()
  await page.mouse.up()
}

/** A config that maps kunden to customers, made by the API. Returns its id. */
async function addConfig({ service }: Ends, policies: object = {}): Promise<string> {
  const made = await service.ask('POST', '/api/v1/sync-configs', {
    name: 'erp to crm',
    source_datasource_id: 'erp',
    target_datasource_id: 'crm',
    tables: [
      { source: 'artikel' },
      {
        source: 'kunden',
        target: 'customers',
        field_mappings: [
          { target: 'id', column: 'kundennummer' },
          { target: 'email', column: 'e_mail', transforms: ['lower'] },
        ],
      },
    ],
    ...policies,
  })
  return String(made['id'])
}

async function documentOf({ service }: Ends, id: string): Promise<Answer> {
  return await service.ask('GET', `/api/v1/sync-configs/${id}`)
}

test('UX 8, 11, 29 to 32: a config is made, mapped by lines and by the table alike, tried on rows, run dry and run', async () => {
  await using all = await open()
  const { browser, service, target } = all
  const page = await browser.signIn(service.key)
  await page.getByRole('link', { name: 'Sync configs' }).click()
  await page.getByText('Nothing is kept in step yet').waitFor()
  await browser.look(page, 'configs-empty')
  await page.getByRole('link', { name: 'New sync config' }).click()
  await choose(page, 'Source', /erp/)
  await choose(page, 'Target', /crm/)
  await page.getByLabel('Take kunden').waitFor()
  await browser.look(page, 'configs-new')
  await page.getByRole('button', { name: 'Make it, then look at a dry run' }).click()
  await page.getByRole('dialog', { name: 'Dry run: erp to crm' }).waitFor()
  await browser.look(page, 'configs-run-dialog')
  await page.getByRole('button', { name: 'Cancel' }).click()
  await browser.look(page, 'configs-overview-new')

  // By lines.
  await page.getByRole('tab', { name: 'Mapping' }).click()
  await choose(page, 'Table', 'kunden')
  await page.getByText('looked at value by value').waitFor()
  await browser.look(page, 'configs-mapping-lines')
  await page.getByRole('button', { name: 'Count the rows that do not fit' }).click()
  await page.getByText('note: 3 of 12 rows do not fit').waitFor()
  await drag(page, 'vorname', 'region')
  await page.getByText('1 unsaved').waitFor()
  await page.getByText('5 of 5 columns of the target are fed').waitFor()
  await page.getByTitle('Edit note').click()
  const drawer = page.getByRole('dialog', { name: 'note' })
  const rows = drawer.getByRole('table', { name: 'note on live rows' })
  await rows.getByText('note 1', { exact: true }).nth(1).waitFor()
  await choose(page, 'Add a step', /truncate/)
  await drawer.getByLabel('length').fill('3')
  await choose(page, 'Add a rule', /required/)
  await rows.getByText('not', { exact: true }).first().waitFor()
  await browser.look(page, 'configs-field')
  await page.keyboard.press('Escape')
  await drawer.waitFor({ state: 'detached' })

  // The same by the table, with the keyboard alone.
  await page.getByRole('radiogroup', { name: 'Edit by' }).getByText('Table').click()
  await page.getByRole('table', { name: 'Fields of customers' }).waitFor()
  const feeds = page.getByRole('combobox', { name: 'What feeds region' })
  expect(await feeds.inputValue()).toBe('vorname (text)')
  await feeds.focus()
  await feeds.fill('nachname')
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('Enter')
  await expect.poll(() => feeds.inputValue()).toBe('nachname (text)')
  // What somebody chose is offered no suggestion; what feeds nothing is.
  await feeds.focus()
  await feeds.fill('nothing')
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('Enter')
  await page.getByText('4 of 5 columns of the target are fed').waitFor()
  await page.getByRole('button', { name: 'Suggest', exact: true }).click()
  await page.getByText('The suggestions say what the mapping says already.').waitFor()
  await feeds.focus()
  await feeds.fill('nachname')
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('Enter')
  await browser.look(page, 'configs-mapping-table')
  await page.getByRole('radiogroup', { name: 'Edit by' }).getByText('Lines').click()
  await page.getByTitle('Edit region').waitFor()
  await browser.look(page, 'configs-mapping-changed')
  await page.getByRole('button', { name: 'Try it on live rows' }).click()
  await page
    .getByRole('table', { name: 'What the mapping makes of live rows' })
    .getByText('V1 N1', { exact: true })
    .waitFor()
  await browser.look(page, 'configs-preview')
  await page.getByRole('button', { name: 'Save', exact: true }).click()
  await page.getByText('version 2', { exact: true }).waitFor()

  await page.getByRole('tab', { name: 'Overview' }).click()
  await page.getByRole('button', { name: 'Dry run' }).click()
  await page.getByRole('button', { name: 'Start dry run' }).click()
  await page
    .getByRole('table', { name: 'What a run would do' })
    .getByRole('row', { name: /customers 12 0 0/ })
    .waitFor()
  await browser.look(page, 'configs-dry-run')
  expect(await target.sql('SELECT count(*) FROM customers')).toEqual([['0']])
  await page.getByRole('button', { name: 'Run sync' }).click()
  await page.getByRole('dialog', { name: 'Run sync: erp to crm' }).getByRole('button', { name: 'Run sync' }).click()
  await page.getByText(/rows looked at: .*13 inserted/).waitFor()
  await browser.look(page, 'configs-ran')
  expect(await target.sql('SELECT full_name, email, note, region FROM customers WHERE id = 1')).toEqual([
    ['V1 N1', 'MAIL1@EXAMPLE.ORG', 'not', 'N1'],
  ])
  await page.getByRole('link', { name: 'Sync configs' }).click()
  await page.getByRole('row', { name: /erp to crm.*Succeeded/ }).waitFor()
  await browser.look(page, 'configs-list')
  browser.expectQuiet(REFUSED)
})

test('UX 8, 45: the text and the form are one document; what is wrong is said at its field; unsaved changes are asked about', async () => {
  await using all = await open()
  const { browser, service } = all
  const id = await addConfig(all, { batch_size: 250 })
  const page = await browser.signIn(service.key)
  await page.goto(`${service.url}/sync-configs/${id}?tab=deletes`)
  await choose(page, 'In the target', /Delete them/)
  await page.getByLabel('Most deletes').fill('25')
  await browser.look(page, 'configs-deletes')
  await page.getByRole('tab', { name: 'YAML' }).click()
  const text = page.getByRole('textbox', { name: 'The sync config as YAML' })
  await text.getByText('max_delete_percent: 25').waitFor()
  await browser.look(page, 'configs-yaml')

  // Back: the text is in the form, with a field that no form has.
  await text.click()
  await page.keyboard.press('Control+End')
  await page.keyboard.type('\naudit_level: detailed\ncursor_column: changed_at\n')
  await page.getByRole('tab', { name: 'Writing' }).click()
  expect(await page.getByRole('combobox', { name: 'What is kept of a run' }).inputValue()).toBe('Rows before and after')
  expect(await page.getByLabel('Rows in a batch').inputValue()).toBe('250')
  await browser.look(page, 'configs-writing')

  // A text that cannot be read is named by its line, and not saved.
  await page.getByRole('tab', { name: 'YAML' }).click()
  await text.click()
  await page.keyboard.press('Control+End')
  await page.keyboard.type('tables: [')
  await page
    .getByText(/^Line \d+$/)
    .first()
    .waitFor()
  expect(await page.getByRole('button', { name: 'Save', exact: true }).isDisabled()).toBe(true)
  await browser.look(page, 'configs-yaml-broken')
  for (let i = 0; i < 'tables: ['.length; i += 1) await page.keyboard.press('Backspace')
  await page
    .getByText(/^Line \d+$/)
    .first()
    .waitFor({ state: 'detached' })

  // What the service refuses is said at its field.
  await page.getByRole('tab', { name: 'Conflicts' }).click()
  await choose(page, 'A row that both sides changed', /Newer wins/)
  await page.getByRole('button', { name: 'Save', exact: true }).click()
  await page.getByRole('alert').getByText('1 place is not right').waitFor()
  await page.getByRole('tabpanel').getByText('newer_wins needs newer_by').waitFor()
  await browser.look(page, 'configs-refused')

  // Leaving asks, and staying loses nothing.
  await page.getByRole('link', { name: 'Dashboard' }).click()
  await page.getByRole('dialog', { name: 'Leave without saving' }).waitFor()
  await browser.look(page, 'configs-leave')
  await page.getByRole('button', { name: 'Stay here' }).click()
  await choose(page, 'A row that both sides changed', /Source wins/)
  await page.getByRole('button', { name: 'Save', exact: true }).click()
  await page.getByText('version 2', { exact: true }).waitFor()
  expect(await documentOf(all, id)).toMatchObject({
    version: 2,
    delete_policy: 'delete',
    max_delete_percent: 25,
    audit_level: 'detailed',
    cursor_column: 'changed_at',
    batch_size: 250,
  })
  browser.expectQuiet(REFUSED, /status of 400/)
})

test('UX 45: edits that were not saved outlive a reload in their tab: they are offered again, taken up, saved, or let go', async () => {
  await using all = await open()
  const { browser, service } = all
  const id = await addConfig(all)
  const page = await browser.signIn(service.key)
  page.on('dialog', (asked) => void asked.accept())
  await page.goto(`${service.url}/sync-configs/${id}?tab=writing`)
  await page.getByLabel('Rows in a batch').fill('77')
  await page.getByText('1 change not saved.').waitFor()
  await page.reload()
  await page.getByText('1 change from before was not saved').waitFor()
  await browser.look(page, 'configs-offered')
  expect(await page.getByLabel('Rows in a batch').inputValue()).toBe('')
  await page.getByRole('button', { name: 'Take it up again' }).click()
  await page.getByText('1 change not saved.').waitFor()
  expect(await page.getByLabel('Rows in a batch').inputValue()).toBe('77')
  await page.getByRole('button', { name: 'Save', exact: true }).click()
  await page.getByText('version 2', { exact: true }).waitFor()
  expect(await documentOf(all, id)).toMatchObject({ batch_size: 77 })
  await page.reload()
  await page.getByText('version 2', { exact: true }).waitFor()
  expect(await page.getByText('from before').count()).toBe(0)

  await page.getByLabel('Rows in a batch').fill('88')
  await page.getByText('1 change not saved.').waitFor()
  await page.reload()
  await page.getByRole('button', { name: 'Forget it' }).click()
  await page.getByText('from before').waitFor({ state: 'detached' })
  await page.reload()
  await page.getByText('version 2', { exact: true }).waitFor()
  expect(await page.getByText('from before').count()).toBe(0)
  expect(await documentOf(all, id)).toMatchObject({ batch_size: 77 })
  browser.expectQuiet(REFUSED)
})

test('UX 17: versions are looked at and restored; whoever was second is told what the first one changed', async () => {
  await using all = await open()
  const { browser, service } = all
  const id = await addConfig(all)
  const first = await documentOf(all, id)
  const { id: _, version: __, created_at: ___, updated_at: ____, ...document } = first
  await service.ask('PUT', `/api/v1/sync-configs/${id}`, { ...document, batch_size: 10, audit_level: 'detailed' })
  const page = await browser.signIn(service.key)
  await page.goto(`${service.url}/sync-configs/${id}?tab=versions`)
  await page.getByRole('row', { name: /audit_level/ }).waitFor()
  await browser.look(page, 'configs-versions')
  await page.getByRole('button', { name: 'Look at version 1' }).click()
  await page.getByRole('button', { name: 'From now to then' }).click()
  await page
    .getByRole('table', { name: 'Differences' })
    .getByRole('row', { name: /batch_size/ })
    .waitFor()
  await browser.look(page, 'configs-version')
  await page.getByRole('button', { name: 'Restore version 1' }).click()
  await page.getByText('2 changes not saved').waitFor()

  await service.ask('PUT', `/api/v1/sync-configs/${id}`, {
    ...document,
    batch_size: 10,
    audit_level: 'detailed',
    max_rejections: 5,
  })
  await page.getByRole('button', { name: 'Save', exact: true }).click()
  const stale = page.getByRole('dialog', { name: 'Somebody saved version 3 meanwhile' })
  await stale.getByRole('row', { name: /max_rejections/ }).waitFor()
  await browser.look(page, 'configs-stale')
  await stale.getByRole('button', { name: 'Put mine on version 3' }).click()
  await page.getByRole('button', { name: 'Save', exact: true }).click()
  await page.getByText('version 4', { exact: true }).waitFor()
  const now = await documentOf(all, id)
  expect(now).toMatchObject({ version: 4, max_rejections: 5 })
  expect(now).not.toHaveProperty('batch_size')
  browser.expectQuiet(REFUSED, /status of 412/)
})

test('tables are chosen and set by themselves, conflicts are decided by field, advice is taken', async () => {
  await using all = await open()
  const { browser, service } = all
  const id = await addConfig(all, { conflict_strategy: 'merge' })
  const page = await browser.signIn(service.key)
  await page.goto(`${service.url}/sync-configs/${id}?tab=tables`)
  await page.getByRole('row', { name: /artikel/ }).waitFor()
  await page.getByLabel('Select row 1').check()
  await page.getByRole('button', { name: 'Leave out 1' }).click()
  await browser.look(page, 'configs-tables')
  await page.getByRole('button', { name: 'Settings of kunden' }).click()
  await page.getByLabel('Filter').fill('kundennummer <= 4')
  await choose(page, 'A row that leaves the filter', /Delete it/)
  await browser.look(page, 'configs-table-settings')
  await page.keyboard.press('Escape')
  await page.getByRole('tab', { name: 'Conflicts' }).click()
  await choose(page, 'Decide one table in another way', 'kunden')
  await choose(page, 'A field of customers', 'email')
  await choose(page, 'Who has the last word on email', /Source owns it/)
  await browser.look(page, 'configs-conflicts')
  await page.getByRole('tab', { name: 'Detection' }).click()
  await page.getByRole('button', { name: 'Ask for advice' }).click()
  await page.getByRole('table', { name: 'Strategies for kunden' }).waitFor()
  await browser.look(page, 'configs-advice')
  await page
    .getByRole('button', { name: /^Use .* for kunden$/ })
    .first()
    .click()
  await page.getByRole('button', { name: 'Save', exact: true }).click()
  await page.getByText('version 2', { exact: true }).waitFor()
  const { tables } = await documentOf(all, id)
  expect(tables).toEqual([
    expect.objectContaining({
      source: 'kunden',
      filter: 'kundennummer <= 4',
      filter_exit: 'delete',
      conflict_strategy: 'merge',
      conflict_fields: { email: 'source_owns' },
      detection_strategy: expect.any(String) as string,
    }),
  ])
  browser.expectQuiet(REFUSED)
})

test('UX 7, 9: a protected target is named and typed before anything is written to it, and viewers only look', async () => {
  await using all = await open()
  const { browser, service, target } = all
  const id = await addConfig(all)
  const crm = await service.ask('GET', '/api/v1/datasources/crm')
  const { host, port, database, user } = crm
  await service.ask('PUT', '/api/v1/datasources/crm', {
    name: 'crm',
    host,
    port,
    database,
    user,
    writable: true,
    environment: 'production',
  })
  const page = await browser.signIn(service.key)
  await page.goto(`${service.url}/sync-configs/${id}?run=sync`)
  const dialog = page.getByRole('dialog', { name: 'Run sync: erp to crm' })
  const go = dialog.getByRole('button', { name: 'Run sync' })
  await dialog.getByText('This writes to crm').waitFor()
  expect(await go.isDisabled()).toBe(true)
  await dialog.getByLabel('Name of the target: crm').fill('crm')
  await browser.look(page, 'configs-protected')
  await go.click()
  await page.getByText(/rows looked at: .*13 inserted/).waitFor()
  expect(await target.sql('SELECT count(*) FROM customers')).toEqual([['12']])

  const { key } = await service.ask('POST', '/api/v1/keys', { name: 'reader', role: 'viewer' })
  await page.getByRole('button', { name: /Signed in with the key/ }).click()
  await page.getByRole('menuitem', { name: 'Sign out' }).click()
  await page.getByLabel('API key').fill(String(key))
  await page.getByRole('button', { name: 'Sign in', exact: true }).click()
  await page.getByRole('link', { name: 'Sync configs' }).click()
  await page.getByRole('heading', { name: 'Sync configs', level: 1 }).waitFor()
  await page.getByRole('link', { name: 'erp to crm' }).click()
  await page.getByRole('heading', { name: 'erp to crm' }).waitFor()
  for (const tab of [
    'Overview',
    'Tables',
    'Mapping',
    'Conflicts',
    'Deletes',
    'Writing',
    'Detection',
    'Versions',
    'YAML',
  ]) {
    await page.getByRole('tab', { name: tab }).click()
    await page.getByRole('tabpanel', { name: tab }).locator('*').nth(3).waitFor()
    expect(
      await page
        .getByRole('button', { name: /^(Run|Dry|Save|Remove|Make|Suggest|Ask for advice|Take|Leave|Add|Restore|Try)/ })
        .count(),
      tab,
    ).toBe(0)
    await browser.look(page, `configs-viewer-${tab.toLowerCase()}`)
  }
  browser.expectQuiet(REFUSED)
})
