import { useCallback, useState } from 'react'

/** A choice of this browser that outlives the page, under a name of ours. Where nothing can be kept it lasts for the page. */
export function useKept<T>(name: string, byDefault: T): readonly [T, (next: T) => void] {
  const key = `syncline.${name}`
  const [value, setValue] = useState<T>(() => {
    try {
      const text = localStorage.getItem(key)
      return text === null ? byDefault : (JSON.parse(text) as T)
    } catch {
      return byDefault
    }
  })
  const keep = useCallback(
    (next: T) => {
      setValue(next)
      try {
        localStorage.setItem(key, JSON.stringify(next))
      } catch {
        // Full, or forbidden: it holds until the page is left.
      }
    },
    [key],
  )
  return [value, keep]
}
