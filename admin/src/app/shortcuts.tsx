import { Kbd, Table } from '@mantine/core'
import { PLACES } from '#app/navigation.ts'
import { keysOfPage } from '#lib/keys.ts'
import { Dialog } from '#ui/dialog.tsx'

const ELSEWHERE = [
  ['Ctrl K', 'Search or go to'],
  ['?', 'This list'],
  ['j  k', 'Next and previous row of a list'],
  ['Enter', 'Open the row'],
] as const

export function Shortcuts({ onClose }: { readonly onClose: () => void }) {
  const ofPage = keysOfPage()
  const known = new Set(ofPage.map(({ key }) => key))
  const keys = [
    ...ofPage.map(({ key, about }) => [key, about] as const),
    ...ELSEWHERE.filter(([key]) => !key.split(/\s+/).some((one) => known.has(one))),
    ...PLACES.map(({ key, word }) => [`g ${key}`, word] as const),
  ]
  return (
    <Dialog onClose={onClose} title="Keys">
      <Table>
        <Table.Tbody>
          {keys.map(([key, about]) => (
            <Table.Tr key={key}>
              <Table.Td w={96}>
                <Kbd>{key}</Kbd>
              </Table.Td>
              <Table.Td>{about}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Dialog>
  )
}
