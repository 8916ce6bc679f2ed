/** The whole way by keys alone, and never a mouse: the focus is seen at each stop, and no page keeps it. */
import { expect, test } from 'vitest'
import type { Locator, Page } from 'playwright-core'

import { Browser } from '#test/harness/browser.ts'
import { createDatabase, type Database } from '#test/harness/database.ts'
import { Keyboard } from '#test/harness/keyboard.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { expectNoProgramSurvives } from '#test/harness/process.ts'
import { ServeUnderTest } from '#test/harness/serve.ts'

expectNoProgramSurvives()

/** Whoever is not signed in is refused first, and browsers write every refusal down. */
const REFUSED = /status of 401/

const SOURCE = `CREATE TABLE people (id int PRIMARY KEY, name text, phone text);
  INSERT INTO people SELECT i, 'Name ' || i, '+49 30 ' || i FROM generate_series(1, 20) i`
const TARGET = 'CREATE TABLE people (id int PRIMARY KEY, full_name text, contact text)'

class ByKeys extends Keyboard {
  readonly page: Page

  constructor(page: Page) {
    super(page)
    this.page = page
  }

  button(name: string | RegExp, within: Page | Locator = this.page): Locator {
    return within.getByRole('button', { name, exact: true })
  }

  async addDatasource(name: string, url: string, isWritable: boolean): Promise<void> {
    await this.use(this.page.getByRole('link', { name: 'Datasources', exact: true }))
    await this.use(this.page.getByRole('link', { name: /^Add (a )?datasource$/ }).first())
    await this.page.getByRole('heading', { name: 'Add a datasource' }).waitFor()
    await this.write(this.page.getByLabel('Connection URL'), url)
    await this.press('Enter')
    // The form is filled from the URL.
    await this.button('Test connection').and(this.page.locator(':enabled')).waitFor()
    await this.write(this.page.getByLabel('Name', { exact: true }), name)
    if (isWritable) await this.use(this.page.getByLabel('Syncs may write to it'), 'Space')
    await this.use(this.button('Test connection'))
    await this.page.getByText(/^Connected/).waitFor()
    await this.use(this.button('Add datasource'))
    await this.page.getByRole('heading', { name, exact: true }).waitFor()
  }

  /** A tab of the page that is shown: Tab leads to the one that is chosen, arrows to the others. */
  async tab(name: string): Promise<void> {
    await this.goTo(this.page.getByRole('tab', { selected: true }))
    const wanted = this.page.getByRole('tab', { name })
    for (let left = 12; (await wanted.getAttribute('aria-selected')) !== 'true'; left -= 1) {
      if (left === 0) throw new Error(`Arrows do not lead to the tab ${name}.`)
      await this.press('ArrowRight')
    }
  }

  async run(ended: RegExp): Promise<void> {
    await this.use(this.button('Run sync'))
    const dialog = this.page.getByRole('dialog', { name: /^Run sync/ })
    await dialog.waitFor()
    await this.use(this.button('Run sync', dialog))
    await this.page.getByText(ended).waitFor({ timeout: 60_000 })
  }
}

async function makeMapping(keys: ByKeys): Promise<void> {
  const { page } = keys
  await keys.use(page.getByRole('link', { name: 'Sync configs', exact: true }))
  await keys.use(page.getByRole('link', { name: 'New sync config' }).first())
  await keys.choose(page.getByRole('combobox', { name: 'Source', exact: true }), 'shop')
  await keys.choose(page.getByRole('combobox', { name: 'Target', exact: true }), 'crm')
  await page.getByLabel('Take people').waitFor()
  await keys.use(keys.button('Make it, then look at a dry run'))
  const dry = page.getByRole('dialog', { name: /^Dry run/ })
  await dry.waitFor()
  await keys.press('Escape')
  await dry.waitFor({ state: 'detached' })
  await keys.tab('Mapping')
  await page.getByRole('radiogroup', { name: 'Edit by' }).waitFor()
  await keys.goTo(page.getByRole('radio', { name: 'Lines' }))
  await keys.press('ArrowRight')
  await page.getByRole('table', { name: 'Fields of people' }).waitFor()
  await keys.choose(page.getByRole('combobox', { name: 'What feeds full_name' }), 'name (text)')
  await keys.choose(page.getByRole('combobox', { name: 'What feeds contact' }), 'phone (text)')
  await page.getByText('3 of 3 columns of the target are fed').waitFor()
  await keys.use(page.getByRole('button', { name: 'Edit contact' }))
  const drawer = page.getByRole('dialog', { name: 'contact' })
  await keys.choose(drawer.getByRole('combobox', { name: 'Add a step' }), 'upper')
  await drawer.getByRole('region', { name: 'Step upper' }).waitFor()
  await keys.use(drawer.getByRole('button', { name: 'Remove upper' }))
  await keys.press('Escape')
  await drawer.waitFor({ state: 'detached' })
  await expect.poll(() => page.evaluate('document.activeElement.getAttribute("aria-label")')).toBe('Edit contact')
  await keys.use(keys.button('Try it on live rows'))
  await page
    .getByRole('table', { name: 'What the mapping makes of live rows' })
    .getByText('Name 1', { exact: true })
    .waitFor()
  await keys.tab('Conflicts')
  await keys.choose(page.getByRole('combobox', { name: 'A row that both sides changed' }), /^Manual/)
  await keys.tab('Writing')
  await keys.choose(page.getByRole('combobox', { name: 'What is kept of a run' }), /^Rows before and after/)
  await keys.use(keys.button('Save'))
  await page.getByText('version 2', { exact: true }).waitFor()
}

async function decide(keys: ByKeys): Promise<void> {
  const { page } = keys
  await keys.use(page.getByRole('link', { name: 'Conflicts', exact: true }))
  await page.getByRole('heading', { level: 2, name: 'people id 5' }).waitFor()
  await keys.press('a')
  await keys.use(keys.button('Carry out 1 decision'))
  const carry = page.getByRole('dialog', { name: 'Carry out decisions' })
  await carry.waitFor()
  await keys.use(keys.button('Carry out 1 decision', carry))
  await page.getByText('The run that carries out decisions has ended').waitFor({ timeout: 60_000 })
}

async function undo(keys: ByKeys): Promise<void> {
  const { page } = keys
  await keys.use(page.getByRole('link', { name: 'Jobs', exact: true }))
  await keys.use(page.getByRole('table', { name: 'Jobs' }).getByRole('link').first())
  await keys.use(keys.button('Undo'))
  const dialog = page.getByRole('dialog', { name: 'Undo what this job wrote' })
  await dialog.waitFor()
  await keys.use(keys.button('Compute the undo', dialog))
  const approve = page.getByRole('button', { name: /^Approve 1 change/ })
  await approve.waitFor({ timeout: 60_000 })
  await keys.use(approve)
  const asked = page.getByRole('dialog', { name: /^Approve/ })
  await asked.waitFor()
  await keys.use(asked.getByRole('button', { name: /^Apply/ }))
  await page.getByText('Succeeded').first().waitFor({ timeout: 60_000 })
}

test('UX 30, 34, 39: by keys alone: signed in, two datasources, a mapping, a preview, a run, a conflict, its resolution, and the undo', async () => {
  await using source: Database = await createDatabase(sharedServers().source)
  await using target: Database = await createDatabase(sharedServers().target)
  await source.sql(SOURCE)
  await target.sql(TARGET)
  await using service = await new ServeUnderTest().start()
  await using browser = await Browser.start(service.url)
  const page = await browser.open('/')
  // What the focus looks like is there at once.
  await page.emulateMedia({ reducedMotion: 'reduce' })
  const keys = new ByKeys(page)
  await keys.write(page.getByLabel('API key'), service.key)
  await keys.press('Enter')
  await page.getByRole('heading', { name: 'Dashboard' }).waitFor()

  await keys.addDatasource('shop', source.url, false)
  await keys.addDatasource('crm', target.url, true)
  await makeMapping(keys)

  await keys.tab('Overview')
  await keys.use(keys.button('Dry run'))
  const dry = page.getByRole('dialog', { name: /^Dry run/ })
  await dry.waitFor()
  await keys.use(keys.button('Start dry run', dry))
  const would = page.getByRole('table', { name: 'What a run would do' })
  await would.getByRole('row', { name: /people 20 0 0/ }).waitFor({ timeout: 60_000 })
  expect(await target.sql('SELECT count(*) FROM people')).toEqual([['0']])
  await keys.run(/20 inserted/)
  const five = 'SELECT full_name, contact FROM people WHERE id = 5'
  expect(await target.sql(five)).toEqual([['Name 5', '+49 30 5']])

  await source.sql(`UPDATE people SET name = 'Ann Source' WHERE id = 5`)
  await target.sql(`UPDATE people SET full_name = 'Ann Target' WHERE id = 5`)
  await keys.run(/1 in conflict/)
  await decide(keys)
  expect(await target.sql(five)).toEqual([['Ann Source', '+49 30 5']])
  await undo(keys)
  expect(await target.sql(five)).toEqual([['Ann Target', '+49 30 5']])
  browser.expectQuiet(REFUSED)
})
