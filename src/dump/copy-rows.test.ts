import { expect, test } from 'vitest'
import { CopyRows } from './copy-rows.ts'

function look(text: string, size: number): void {
  const rows = new CopyRows()
  const bytes = Buffer.from(text, 'utf8')
  for (let at = 0; at < bytes.length; at += size) rows.look(bytes.subarray(at, at + size))
}

test('D13: a line that would end the block is refused, however it is cut into pieces', () => {
  for (const text of ['\\.\n', 'a\n\\.\n', 'a\n\\.', 'a\tb\nc\n\\.\n\\! true\n', '\\.x\n']) {
    for (let size = 1; size <= text.length; size++) {
      expect(() => look(text, size), `${JSON.stringify(text)} by ${size}`).toThrow(
        expect.objectContaining({ code: 'unsafe_definition' }) as Error,
      )
    }
  }
})

test('rows as servers write them pass', () => {
  for (const text of ['', '\n\n', '\\N\n', 'a\\\\.\n\\\\.\n', '\\\\\n.\n', 'x\\n\\\\.\n', 'a.\n.b\n']) {
    for (let size = 1; size <= text.length + 1; size++) look(text, size)
  }
})
