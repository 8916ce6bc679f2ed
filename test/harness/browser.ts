/**
 * A real browser on the admin pages of a running service: `await using browser = await Browser.start(url)`. Whatever a page
 * says on its console fails the test, and so does what the accessibility rules of axe find.
 */
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import { chromium, type Browser as Chromium, type BrowserContext, type Locator, type Page } from 'playwright-core'
import { needProgram } from './debian.ts'

const PROGRAMS = ['chromium', 'chromium-browser', 'google-chrome']

let found: Promise<string> | null = null

/** Where pictures of pages are kept to be looked at; without it none are taken. */
const PICTURES = process.env['SYNCLINE_TEST_PICTURES']

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** Settles once no transition is under way; one that is cancelled, as its element has gone, is over too. */
export const TRANSITIONS_END = `Promise.allSettled(
  document.getAnimations().flatMap((each) => (each instanceof CSSTransition ? [each.finished] : [])),
)`

const SCHEMES = ['light', 'dark'] as const

export class Browser implements AsyncDisposable {
  readonly #chromium: Chromium
  readonly #context: BrowserContext
  readonly #url: string
  /** What pages complained of that a test does not expect. */
  readonly complaints: string[] = []

  private constructor(chromium: Chromium, context: BrowserContext, url: string) {
    this.#chromium = chromium
    this.#context = context
    this.#url = url
  }

  /** `isTouched`: as a phone is, by fingers. */
  static async start(url: string, viewport = { width: 1280, height: 800 }, isTouched = false): Promise<Browser> {
    const executablePath = await (found ??= needProgram(PROGRAMS, 'chromium'))
    const opened = await chromium.launch({
      executablePath,
      args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-background-networking', '--disable-sync'],
    })
    const context = await opened.newContext({ viewport, locale: 'en-GB', hasTouch: isTouched, isMobile: isTouched })
    return new Browser(opened, context, url)
  }

  /** A page of its own, at a path of the service. */
  async open(path: string): Promise<Page> {
    const page = await this.#context.newPage()
    page.on('pageerror', (error) => this.complaints.push(error.message))
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') this.complaints.push(message.text())
    })
    await page.goto(`${this.#url}${path}`)
    return page
  }

  /** Signs in by the page, with a key; the result is at the dashboard. */
  async signIn(key: string): Promise<Page> {
    const page = await this.open('/sign-in')
    await page.getByLabel('API key').fill(key)
    await page.getByRole('button', { name: 'Sign in', exact: true }).click()
    await page.getByRole('heading', { name: 'Dashboard' }).waitFor()
    return page
  }

  /** Looks at a page as it stands, in both colour schemes: its accessibility, and a picture where they are kept. */
  async look(page: Page, name: string): Promise<void> {
    for (const scheme of SCHEMES) {
      await page.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' })
      await page.locator(`html[data-mantine-color-scheme=${scheme}]`).waitFor()
      // Half-way from the one to the other nothing has the colours that people see.
      await page.evaluate(TRANSITIONS_END)
      if (PICTURES !== undefined) {
        mkdirSync(PICTURES, { recursive: true })
        await page.screenshot({ path: join(PICTURES, `${name}-${scheme}.png`), fullPage: true })
      }
      assert.deepEqual(await violations(page, RULES[scheme]), [], `${name}, ${scheme}`)
    }
  }

  /** Nothing was complained of but what is said here. */
  expectQuiet(...expected: readonly RegExp[]): void {
    assert.deepEqual(
      this.complaints.filter((text) => !expected.some((pattern) => pattern.test(text))),
      [],
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#chromium.close()
  }
}

interface RunOnly {
  readonly type: 'tag' | 'rule'
  readonly values: string[]
}

/** What a page is held to; where it is dark after it was light, all but its colours is the same. */
const RULES: Readonly<Record<(typeof SCHEMES)[number], RunOnly>> = {
  light: { type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] },
  dark: { type: 'rule', values: ['color-contrast', 'link-in-text-block'] },
}

interface Axe {
  readonly run: (options: object) => Promise<{
    readonly violations: readonly {
      readonly id: string
      readonly help: string
      readonly nodes: readonly { readonly html: string; readonly failureSummary?: string }[]
    }[]
  }>
}

/** What breaks a rule of WCAG AA, by the rule and the element. */
async function violations(page: Page, runOnly: RunOnly): Promise<readonly string[]> {
  // By the debugger, which the policy of the page does not bind.
  if (!(await page.evaluate(`'axe' in globalThis`))) await page.evaluate(AXE)
  const found = await page.evaluate(async (only) => {
    const { axe } = globalThis as unknown as { axe: Axe }
    const { violations: all } = await axe.run({ runOnly: only, resultTypes: ['violations'] })
    return all
  }, runOnly)
  return found.flatMap(({ id, help, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${help}\n${html}\n${failureSummary ?? ''}`),
  )
}

/**
 * Chooses in a list of the kit: opens it, and takes the option. A label that is a text is the whole of it: the page that one
 * leaves is there until the next one is loaded, and may have a list whose label holds the other's.
 */
export async function choose(page: Page, label: string | RegExp, option: string | RegExp): Promise<void> {
  await page
    .getByRole('combobox', { name: label, exact: true })
    .or(page.getByRole('textbox', { name: label, exact: true }))
    .first()
    .click()
  await page.getByRole('option', { name: option }).first().click()
}

/** Pastes a text into a field, as somebody does who copied it elsewhere. */
export async function paste(page: Page, label: string, text: string): Promise<void> {
  await page.getByLabel(label, { exact: true }).selectText()
  await page.evaluate(`{
    const clipboardData = new DataTransfer()
    clipboardData.setData('text', ${JSON.stringify(text)})
    const event = new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true })
    document.activeElement.dispatchEvent(event)
  }`)
}

/**
 * What "Copy as" copies. `part` is where the button stands; `word` the copy, such as `curl`, with its action before it
 * where the menu has several.
 */
export async function copied(page: Page, part: Page | Locator, word: string): Promise<string> {
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
  await part.getByRole('button', { name: 'Copy as' }).click()
  await page.getByRole('menuitem', { name: word, exact: true }).click()
  await page
    .getByText(/^Copied as /)
    .last()
    .waitFor()
  return await page.evaluate<string>('navigator.clipboard.readText()')
}
