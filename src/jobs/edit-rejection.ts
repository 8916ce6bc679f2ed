import { editRejection, type OpenedRejection, type RejectionAct } from '#control/rejection-list.ts'
import type { RejectionTools } from '#control/rejections.ts'
import type { EditableColumn, NamedCells } from '#model/rejection.ts'
import { ValueRefused } from '#model/value.ts'
import { fitEdit } from '#sync/fit-edit.ts'

/** Why a value that somebody gives for a field cannot be written, in words without the value. */
export interface EditProblem {
  readonly field: string
  readonly message: string
}

/** What is wrong with an edit, field by field. A replay asks the rules of the mapping as well. */
export function checkEdits(columns: readonly EditableColumn[], edits: NamedCells): readonly EditProblem[] {
  return edits.flatMap(([field, text]) => {
    const column = columns.find(({ name }) => name === field)
    if (column === undefined) return [{ field, message: 'The target has no such field in this sync.' }]
    try {
      fitEdit(text, column)
      return []
    } catch (error) {
      if (!(error instanceof ValueRefused)) throw error
      return [{ field, message: `It ${error.message}.` }]
    }
  })
}

/** Keeps an edit that was checked. @throws AppError as `editRejection` */
export function keepEdits(tools: RejectionTools, act: RejectionAct, edits: NamedCells): Promise<OpenedRejection> {
  return editRejection(tools, act, edits)
}
