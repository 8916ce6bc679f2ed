import type { Transaction } from 'kysely'
import type { SecretBox } from '#lib/secret-box.ts'
import type { Tables } from './schema.ts'

/** Rows whose boxes are in memory at once. */
const PAGE = 50

/** Who the boxes of a conflict belong to: one that is moved elsewhere does not open. */
export const owners = {
  image: (id: string): string => id,
  marks: (id: string): string => `${id} marks`,
  row: (id: string): string => `${id} row`,
}

/** Seals conflicts anew with the current key. @throws SealBroken where a box was sealed with one that is not known */
export async function resealConflicts(tx: Transaction<Tables>, box: SecretBox): Promise<void> {
  const renew = (sealed: string, owner: string): string =>
    box.isCurrent(sealed) ? sealed : box.seal(box.open(sealed, owner), owner)
  for (let last = ''; ;) {
    const rows = await tx
      .selectFrom('conflict')
      .select(['id', 'image_sealed', 'marks_sealed', 'row_sealed'])
      .where('id', '>', last)
      .orderBy('id')
      .limit(PAGE)
      .execute()
    for (const { id, image_sealed: image, marks_sealed: marks, row_sealed: row } of rows) {
      last = id
      const sealed = {
        image_sealed: renew(image, owners.image(id)),
        marks_sealed: renew(marks, owners.marks(id)),
        row_sealed: row === null ? null : renew(row, owners.row(id)),
      }
      await tx.updateTable('conflict').set(sealed).where('id', '=', id).execute()
    }
    if (rows.length < PAGE) return
  }
}
