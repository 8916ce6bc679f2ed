import { ActionIcon, Button, Checkbox, Group, Menu, Text, Tooltip } from '@mantine/core'
import { useClipboard } from '@mantine/hooks'
import { IconArrowDown, IconArrowUp, IconColumns3 } from '@tabler/icons-react'
import {
  columnVisibilityFeature,
  createSortedRowModel,
  rowSortingFeature,
  sortFn_alphanumeric,
  tableFeatures,
  useTable,
  type ColumnDef,
  type RowData,
  type SortingState,
  type Table,
} from '@tanstack/react-table'
import type { UseInfiniteQueryResult } from '@tanstack/react-query'
import { useWindowVirtualizer } from '@tanstack/react-virtual'
import { useLayoutEffect, useMemo, useRef, useState, type KeyboardEvent, type ReactNode } from 'react'
import { useKept } from '#lib/kept.ts'
import classes from './data-table.module.css'

export interface DataColumn<T> {
  readonly id: string
  readonly header: string
  readonly cell: (row: T) => ReactNode
  /** By what rows are sorted and copied; a column without one is neither. */
  readonly value?: (row: T) => string | number | null
  /** Numbers stand at the right. */
  readonly align?: 'right'
  readonly hidden?: boolean
}

interface DataTableProps<T> {
  /** Under which the choices of columns and density are kept. */
  readonly name: string
  /** What it lists, for those who hear it. */
  readonly label: string
  readonly columns: readonly DataColumn<T>[]
  readonly rows: readonly T[]
  readonly keyOf: (row: T) => string
  readonly onOpen?: (row: T) => void
  readonly selection?: Selection
  /** Of which `rows` are what is loaded until now. */
  readonly more?: Paged
}

/** What a query that goes on page by page says of itself. */
export type Paged = Pick<UseInfiniteQueryResult, 'hasNextPage' | 'isFetchingNextPage' | 'fetchNextPage'>

/** Which rows are ticked, by key. */
export interface Selection {
  readonly keys: ReadonlySet<string>
  readonly onChange: (keys: ReadonlySet<string>) => void
}

const features = tableFeatures({
  columnVisibilityFeature,
  rowSortingFeature,
  sortedRowModel: createSortedRowModel(),
  sortFns: { alphanumeric: sortFn_alphanumeric },
})

interface Choices {
  readonly hidden: readonly string[]
  readonly dense: boolean
}

const ROW_PX = 36
const DENSE_ROW_PX = 28

/** A list: sorted by its heads, moved through by arrows or j and k, opened by Enter, with columns to choose. */
export function DataTable<T extends RowData>(props: DataTableProps<T>) {
  const { name, label, rows, keyOf, onOpen, selection, more } = props
  const [choices, keep] = useKept<Choices>(`table.${name}`, {
    hidden: props.columns.filter(({ hidden }) => hidden).map(({ id }) => id),
    dense: false,
  })
  const [sorting, setSorting] = useState<SortingState>([])
  const columns = useMemo(() => toColumns(props.columns), [props.columns])
  const data = useMemo(() => [...rows], [rows])
  const columnVisibility = Object.fromEntries(choices.hidden.map((id) => [id, false]))
  const table = useTable({
    features,
    columns,
    data,
    getRowId: keyOf,
    state: { sorting, columnVisibility },
    onSortingChange: setSorting,
  })
  const shown = table.getRowModel().rows
  const height = choices.dense ? DENSE_ROW_PX : ROW_PX
  const box = useRef<HTMLDivElement>(null)
  const [margin, setMargin] = useState(0)
  useLayoutEffect(() => setMargin(box.current?.offsetTop ?? 0), [])
  const virtual = useWindowVirtualizer({
    count: shown.length,
    estimateSize: () => height,
    overscan: 30,
    scrollMargin: margin,
    getItemKey: (i) => shown[i]?.id ?? i,
  })
  const items = virtual.getVirtualItems()
  const above = (items[0]?.start ?? margin) - margin
  const below = virtual.getTotalSize() - ((items.at(-1)?.end ?? margin) - margin)
  const width = table.getVisibleLeafColumns().length + (selection === undefined ? 0 : 1)
  const chosen = props.columns.filter(({ id }) => !choices.hidden.includes(id))
  return (
    <div ref={box} className={classes['box']} data-dense={choices.dense}>
      <div className={classes['tools']}>
        <TableMenu columns={props.columns} choices={choices} keep={keep} rows={shown.map(({ original }) => original)} />
      </div>
      <div className={classes['scroll']}>
        <table className={classes['table']} aria-label={label} aria-rowcount={rows.length}>
          <thead>
            <Head table={table} chosen={chosen} rows={rows} keyOf={keyOf} selection={selection} />
          </thead>
          <tbody>
            <Gap width={width} px={above} />
            {items.map((item) => {
              const row = shown[item.index]
              if (row === undefined) return null
              return (
                <Row
                  key={row.id}
                  id={row.id}
                  index={item.index}
                  row={row.original}
                  columns={chosen}
                  onOpen={onOpen}
                  selection={selection}
                />
              )
            })}
            <Gap width={width} px={below} />
          </tbody>
        </table>
      </div>
      {more?.hasNextPage === true && (
        <Group justify="center" p="xs">
          <ShowMore of={more} />
        </Group>
      )}
    </div>
  )
}

interface HeadProps<T extends RowData> {
  readonly table: Table<typeof features, T>
  readonly chosen: readonly DataColumn<T>[]
  readonly rows: readonly T[]
  readonly keyOf: (row: T) => string
  readonly selection: Selection | undefined
}

function Head<T extends RowData>({ table, chosen, rows, keyOf, selection }: HeadProps<T>) {
  return (
    <tr>
      {selection !== undefined && (
        <th className={classes['tick']}>
          <Checkbox
            size="xs"
            aria-label="Select all rows"
            checked={rows.length > 0 && selection.keys.size >= rows.length}
            indeterminate={selection.keys.size > 0 && selection.keys.size < rows.length}
            onChange={(event) => selection.onChange(new Set(event.currentTarget.checked ? rows.map(keyOf) : []))}
          />
        </th>
      )}
      {chosen.map(({ id, header, align }) => {
        const column = table.getColumn(id)
        const sorted = column?.getIsSorted() ?? false
        return (
          <th key={id} data-align={align} aria-sort={sorted === false ? undefined : SORTS[sorted]}>
            {column?.getCanSort() ? (
              <button type="button" className={classes['head']} onClick={() => column.toggleSorting()}>
                {header}
                {sorted === 'asc' && <IconArrowUp size={12} aria-hidden />}
                {sorted === 'desc' && <IconArrowDown size={12} aria-hidden />}
              </button>
            ) : (
              header
            )}
          </th>
        )
      })}
    </tr>
  )
}

const SORTS = { asc: 'ascending', desc: 'descending' } as const

interface RowProps<T> {
  readonly id: string
  readonly index: number
  readonly row: T
  readonly columns: readonly DataColumn<T>[]
  readonly onOpen: ((row: T) => void) | undefined
  readonly selection: Selection | undefined
}

function Row<T>({ id, index, row, columns, onOpen, selection }: RowProps<T>) {
  return (
    <tr
      aria-rowindex={index + 1}
      tabIndex={index === 0 ? 0 : -1}
      data-row
      data-opens={onOpen !== undefined || undefined}
      onClick={(event) => {
        if (onOpen !== undefined && !isControl(event.target)) onOpen(row)
      }}
      onKeyDown={(event) => {
        if (event.key === 'Enter' && event.target === event.currentTarget) onOpen?.(row)
        else move(event)
      }}
    >
      {selection !== undefined && (
        <td className={classes['tick']}>
          <Checkbox
            size="xs"
            aria-label={`Select row ${index + 1}`}
            checked={selection.keys.has(id)}
            onChange={() => selection.onChange(toggled(selection.keys, id))}
          />
        </td>
      )}
      {columns.map((column) => (
        <td key={column.id} data-align={column.align}>
          {column.cell(row)}
        </td>
      ))}
    </tr>
  )
}

/** In place of the rows out of sight, as tall as they are together. */
export function Gap({ width, px }: { readonly width: number; readonly px: number }) {
  if (px <= 0) return null
  return (
    <tr aria-hidden>
      <td aria-label="rows out of sight" colSpan={width} style={{ height: px, padding: 0, border: 0 }} />
    </tr>
  )
}

function toColumns<T extends RowData>(columns: readonly DataColumn<T>[]): ColumnDef<typeof features, T, unknown>[] {
  return columns.map(({ id, value }) =>
    value === undefined
      ? { id, enableSorting: false }
      : { id, accessorFn: (row: T) => value(row) ?? '', sortFn: 'alphanumeric' as const, sortDescFirst: false },
  )
}

function toggled(keys: ReadonlySet<string>, key: string): ReadonlySet<string> {
  return keys.has(key) ? keys.difference(new Set([key])) : keys.union(new Set([key]))
}

/** A click on what acts by itself does not open the row. */
function isControl(target: EventTarget): boolean {
  return target instanceof Element && target.closest('a, button, input, label, [role=menuitem]') !== null
}

const STEPS: Readonly<Record<string, 'next' | 'previous'>> = {
  ArrowDown: 'next',
  j: 'next',
  ArrowUp: 'previous',
  k: 'previous',
}

function move(event: KeyboardEvent): void {
  const step = STEPS[event.key]
  const row = event.target instanceof Element ? event.target.closest('tr[data-row]') : null
  if (step === undefined || row !== event.target || event.ctrlKey || event.metaKey || event.altKey) return
  const to = step === 'next' ? row?.nextElementSibling : row?.previousElementSibling
  if (!(to instanceof HTMLElement) || !to.hasAttribute('data-row')) return
  event.preventDefault()
  to.focus()
  to.scrollIntoView({ block: 'nearest' })
}

interface TableMenuProps<T> {
  readonly columns: readonly DataColumn<T>[]
  readonly choices: Choices
  readonly keep: (choices: Choices) => void
  readonly rows: readonly T[]
}

function TableMenu<T extends RowData>({ columns, choices, keep, rows }: TableMenuProps<T>) {
  const clipboard = useClipboard()
  const values = columns.filter(({ value }) => value !== undefined)
  const cells = (row: T): (string | number | null)[] => values.map(({ value }) => value?.(row) ?? null)
  const asJson = (): string =>
    JSON.stringify(
      rows.map((row) => Object.fromEntries(cells(row).map((cell, i) => [values[i]?.id ?? '', cell]))),
      null,
      2,
    )
  const asCsv = (): string =>
    [values.map(({ header }) => header), ...rows.map(cells)].map((line) => line.map(csvCell).join(',')).join('\r\n')
  return (
    <Menu closeOnItemClick={false} position="bottom-end">
      <Menu.Target>
        <Tooltip label="Columns, density, copy">
          <ActionIcon variant="subtle" color="gray" aria-label="Columns, density, copy">
            <IconColumns3 size={16} />
          </ActionIcon>
        </Tooltip>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>Columns</Menu.Label>
        {columns.map(({ id, header }) => {
          const isShown = !choices.hidden.includes(id)
          const hidden = isShown ? [...choices.hidden, id] : choices.hidden.filter((other) => other !== id)
          return (
            <Menu.CheckboxItem
              key={id}
              checked={isShown}
              disabled={isShown && choices.hidden.length === columns.length - 1}
              onChange={() => keep({ ...choices, hidden })}
            >
              {header}
            </Menu.CheckboxItem>
          )
        })}
        <Menu.Divider />
        <Menu.Item onClick={() => keep({ ...choices, dense: !choices.dense })}>
          {choices.dense ? 'Taller rows' : 'Denser rows'}
        </Menu.Item>
        <Menu.Item closeMenuOnClick onClick={() => clipboard.copy(asJson())}>
          Copy rows as JSON
        </Menu.Item>
        <Menu.Item closeMenuOnClick onClick={() => clipboard.copy(asCsv())}>
          Copy rows as CSV
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  )
}

function csvCell(cell: string | number | null): string {
  const text = String(cell ?? '')
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

/** Loads the next page, where there is one. */
export function ShowMore({ of }: { readonly of: Paged }) {
  if (!of.hasNextPage) return null
  return (
    <Button variant="default" loading={of.isFetchingNextPage} onClick={() => void of.fetchNextPage()}>
      Show more
    </Button>
  )
}

/** How many rows a list shows of how many, where that is known. */
export function Shown({ count, more }: { readonly count: number; readonly more: boolean }) {
  return (
    <Text size="xs" className="quiet numbers" aria-live="polite">
      {more ? `the first ${count}` : `${count} in all`}
    </Text>
  )
}
