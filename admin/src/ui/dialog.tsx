import { Drawer, Modal, type DrawerProps, type ModalProps } from '@mantine/core'
import { useEffect, useRef } from 'react'

/** Over the page, for as long as it is drawn. */
export function Dialog(props: Omit<ModalProps, 'opened'>) {
  useFocusBack()
  return <Modal opened {...props} />
}

/** Beside what it is about, for as long as it is drawn. */
export function SideDialog(props: Omit<DrawerProps, 'opened'>) {
  useFocusBack()
  return <Drawer opened {...props} />
}

/** Whoever works by keys is, once it has gone, where they were when it came: the kit does so only for what it hides itself. */
function useFocusBack(): void {
  const before = useRef(document.activeElement)
  useEffect(() => {
    const back = before.current
    return () => {
      // What closed it may have led on to something else, which has the focus by then.
      setTimeout(() => {
        const now = document.activeElement
        if (now !== null && now !== document.body) return
        const to = back instanceof HTMLElement && back.isConnected ? back : document.getElementById('main')
        to?.focus({ preventScroll: true })
      })
    }
  }, [])
}
