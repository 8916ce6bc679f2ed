import { useNavigate } from '@tanstack/react-router'
import { useEffect, useRef } from 'react'
import { PLACES } from '#app/navigation.ts'

/** Between the g and the letter of a page. */
const PAUSE_MS = 1_000

/** Pages by two keys: g, then the letter of the page. */
export function useGoTo(): void {
  const navigate = useNavigate()
  const since = useRef(-Infinity)
  useEffect(() => {
    const press = (event: KeyboardEvent): void => {
      if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return
      if (event.key === 'g') {
        since.current = event.timeStamp
        return
      }
      const place = PLACES.find(({ key }) => key === event.key)
      if (place === undefined || event.timeStamp - since.current > PAUSE_MS) return
      since.current = -Infinity
      event.preventDefault()
      void navigate({ to: place.to })
    }
    document.addEventListener('keydown', press)
    return () => document.removeEventListener('keydown', press)
  }, [navigate])
}

/** Keys that are pressed here write something. */
export function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.closest('input, textarea, select, [contenteditable=true]') !== null
}
