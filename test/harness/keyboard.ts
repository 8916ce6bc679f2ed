/**
 * Somebody who works an admin page by keys alone: `new Keyboard(page)`. At each stop the focus must be seen: on the screen,
 * not covered, and looking other than without it. What Tab does not reach in one round is out of reach.
 */
import assert from 'node:assert/strict'

import type { Locator, Page } from 'playwright-core'

import { TRANSITIONS_END } from './browser.ts'

/** More stops than any page has. */
const ROUND = 150

/** Puts what the page is asked for into it; the policy of the page does not bind the debugger. */
const PROBE = `globalThis.focusProbe ??= {
  last: null,
  /** What of an element and what is around it may show that it has the focus. */
  look(element) {
    const within = []
    for (let each = element.parentElement; each !== null && within.length < 4; each = each.parentElement) within.push(each)
    const beside = [...(element.parentElement?.children ?? [])].flatMap((each) => [each, ...each.children])
    return [element, ...within, ...beside]
      .filter((each) => each instanceof Element)
      .slice(0, 40)
      .map((each) => {
        const { outlineStyle, outlineWidth, outlineColor, borderColor, boxShadow, backgroundColor, left } =
          getComputedStyle(each)
        const outline = outlineStyle === 'none' ? '' : outlineStyle + outlineWidth + outlineColor
        return [outline, borderColor, boxShadow, backgroundColor, left].join()
      })
      .join(';')
  },
  name(element) {
    const text = element.getAttribute('aria-label') ?? element.labels?.[0]?.textContent ?? element.textContent
    return element.tagName.toLowerCase() + ' ' + (text ?? '').trim().slice(0, 60)
  },
  /** What is wrong with the stop before, now that the focus is elsewhere, and with this one; then the name of this one. */
  stop() {
    const wrong = []
    const { last } = this
    if (last !== null && last.element.isConnected && last.element !== document.activeElement) {
      if (this.look(last.element) === last.look) wrong.push('looks alike with and without the focus: ' + last.name)
    }
    const element = document.activeElement
    this.last = null
    if (element === null || element === document.body) return { wrong, name: '' }
    const name = this.name(element)
    // A box of the kit is drawn by the label round it.
    const seen = element.matches('input[type=radio], input[type=checkbox]') ? (element.labels?.[0] ?? element) : element
    const { left, top, right, bottom, width, height } = seen.getBoundingClientRect()
    const isOn = width > 0 && height > 0 && right > 0 && bottom > 0 && left < innerWidth && top < innerHeight
    if (!isOn) wrong.push('is not on the screen: ' + name)
    else {
      const x = (Math.max(0, left) + Math.min(innerWidth, right)) / 2
      const y = (Math.max(0, top) + Math.min(innerHeight, bottom)) / 2
      const hit = document.elementFromPoint(x, y)
      const own = seen.closest('label') ?? seen.parentElement ?? seen
      if (hit === null || !(own.contains(hit) || hit.contains(own))) {
        wrong.push('is covered: ' + name + ', by ' + (hit === null ? 'nothing' : this.name(hit)))
      }
    }
    this.last = { element, name, look: this.look(element) }
    return { wrong, name }
  },
}`

interface Stop {
  readonly wrong: readonly string[]
  readonly name: string
}

export class Keyboard {
  readonly #page: Page

  constructor(page: Page) {
    this.#page = page
  }

  /** Presses keys one after the other. */
  async press(...keys: readonly string[]): Promise<void> {
    for (const key of keys) await this.#page.keyboard.press(key)
  }

  /** Goes on by Tab until the focus is there. @throws where it is not reached, or cannot be seen on the way */
  async goTo(target: Locator): Promise<void> {
    await target.waitFor({ state: 'attached' })
    const passed: string[] = []
    for (let left = ROUND; left > 0; left -= 1) {
      if (await this.#isAt(target)) return
      await this.press('Tab')
      const { wrong, name } = await this.#look()
      assert.deepEqual(wrong, [], `the focus after ${passed.at(-1) ?? 'the first key'}`)
      passed.push(name)
    }
    throw new Error(`Tab does not lead to ${String(target)}, but to:\n${passed.join('\n')}`)
  }

  /** Goes there and presses it. */
  async use(target: Locator, key: 'Enter' | 'Space' = 'Enter'): Promise<void> {
    await this.goTo(target)
    await this.press(key)
  }

  /** Goes to a field and writes in it, in place of what it has. */
  async write(field: Locator, text: string): Promise<void> {
    await this.goTo(field)
    await this.press('Control+a')
    await this.#page.keyboard.type(text)
  }

  /** Goes to a list of the kit and takes an option by arrows. */
  async choose(list: Locator, option: string | RegExp): Promise<void> {
    await this.goTo(list)
    const id = await this.#open(list)
    const options = this.#page.locator(`[id="${id}"]`).getByRole('option')
    const wanted = options.filter({ hasText: option }).first()
    await wanted.waitFor()
    for (let left = ROUND; left > 0; left -= 1) {
      if ((await wanted.getAttribute('data-combobox-selected')) !== null) {
        await this.press('Enter')
        return await wanted.waitFor({ state: 'hidden' })
      }
      await this.press('ArrowDown')
    }
    throw new Error(`Arrows do not lead to the option ${String(option)}.`)
  }

  /** The id of the options of a list, which is opened where it is not. */
  async #open(list: Locator): Promise<string> {
    if ((await list.getAttribute('aria-expanded')) !== 'true') await this.press('ArrowDown')
    const opened = await list.and(this.#page.locator('[aria-expanded=true]')).elementHandle()
    return (await opened?.getAttribute('aria-controls')) ?? ''
  }

  async #isAt(target: Locator): Promise<boolean> {
    return await target.first().evaluate((element) => element === element.ownerDocument.activeElement)
  }

  async #look(): Promise<Stop> {
    // The first moment of a focus that fades in looks as none does.
    await this.#page.evaluate(TRANSITIONS_END)
    await this.#page.evaluate(PROBE)
    return await this.#page.evaluate<Stop>('focusProbe.stop()')
  }
}
