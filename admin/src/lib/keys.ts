import { useEffect, useRef } from 'react'

/** A key of a page, what it does, and what the list of keys says of it. */
export interface PageKey {
  readonly key: string
  readonly about: string
  readonly press: () => void
}

/** The keys of all that is on the page now. */
const shown = new Set<{ current: readonly PageKey[] }>()

/** The keys of the page that is open, for whoever lists them. */
export function keysOfPage(): readonly PageKey[] {
  return [...shown].flatMap(({ current }) => current)
}

/**
 * Single keys that act on the page as a whole. They rest while somebody writes, in dialogs and menus, and where another
 * listener took the key already (g, then a letter, goes to another page).
 */
export function usePageKeys(keys: readonly PageKey[]): void {
  const now = useRef(keys)
  useEffect(() => {
    now.current = keys
  })
  useEffect(() => {
    const press = (event: KeyboardEvent): void => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return
      if (event.target instanceof Element && event.target.closest(ELSEWHERE) !== null) return
      const found = now.current.find(({ key }) => key === event.key)
      if (found === undefined) return
      event.preventDefault()
      found.press()
    }
    shown.add(now)
    // Behind the listeners of the document, so that these come first.
    window.addEventListener('keydown', press)
    return () => {
      window.removeEventListener('keydown', press)
      shown.delete(now)
    }
  }, [])
}

const ELSEWHERE = [
  'input:not([type=radio], [type=checkbox], [readonly])',
  'input[aria-expanded=true]',
  'textarea',
  'select',
  '[contenteditable=true]',
  '[role=dialog]',
  '[role=menu]',
  '[role=listbox]',
].join()
