import { useComputedColorScheme } from '@mantine/core'
import { useElementSize } from '@mantine/hooks'
import {
  BaseEdge,
  getBezierPath,
  Handle,
  Position,
  ReactFlow,
  type Connection,
  type Edge,
  type EdgeProps,
  type Node,
  type NodeProps,
} from '@xyflow/react'
import '@xyflow/react/dist/base.css'
import { useMemo } from 'react'
import { useDraft } from '#features/sync-configs/draft.tsx'
import { useMappedTable, type Judged } from '#features/sync-configs/mapped-table.tsx'
import {
  addColumn,
  columnsOf,
  connect,
  kindOf,
  readStep,
  removeColumn,
  sourceInWords,
  type Column,
  type Field,
} from '#features/sync-configs/mapping.ts'
import { toneOf } from '#features/sync-configs/verdict.tsx'
import classes from './canvas.module.css'

const ROW_PX = 28
const HEAD_PX = 36
const NODE_PX = 340

/** Drawn as long as the width is not measured. */
const WIDTH_PX = 1_000

type Side = Node<{
  readonly title: string
  readonly columns: readonly Column[]
  readonly onOpen: (field: string) => void
}>
type Line = Edge<{ readonly judged: Judged | undefined; readonly look: 'plain' | 'computed' | 'suggested' }>

const NODES = { source: SourceSide, target: TargetSide }
const EDGES = { line: LineEdge }

/** The columns of both sides with a line for each that feeds another: drawn by dragging, taken away by Delete. */
export function Canvas({ onOpen }: { readonly onOpen: (field: string) => void }) {
  const { name, target, sourceColumns, targetColumns, fields, setField } = useMappedTable()
  const { mayEdit } = useDraft()
  const scheme = useComputedColorScheme('light')
  const { ref, width } = useElementSize()
  const nodes = useMemo<Side[]>(() => {
    const right = (width === 0 ? WIDTH_PX : width) - NODE_PX
    const fixed = { draggable: false, selectable: false, focusable: false }
    return [
      {
        id: 'source',
        type: 'source',
        position: { x: 0, y: 0 },
        data: { title: name, columns: sourceColumns, onOpen },
        ...fixed,
      },
      {
        id: 'target',
        type: 'target',
        position: { x: right, y: 0 },
        data: { title: target, columns: targetColumns, onOpen },
        ...fixed,
      },
    ]
  }, [width, name, target, sourceColumns, targetColumns, onOpen])
  const edges = useLines()
  const draw = ({ sourceHandle, targetHandle }: Connection): void => {
    const column = sourceColumns.find((one) => one.name === sourceHandle)?.name
    const to = targetColumns.find((one) => one.name === targetHandle)?.name
    if (column === undefined || to === undefined) return
    const field = fields.find((one) => one.target === to)
    // A field that is made of several columns takes one more; any other has its one line drawn anew.
    const isMany = field !== undefined && kindOf(field) === 'columns'
    setField(to, isMany ? addColumn(field, column) : connect(field, to, column))
  }
  const erase = (gone: readonly Edge[]): void => {
    for (const { sourceHandle, targetHandle } of gone) {
      const field = fields.find((one) => one.target === targetHandle)
      if (field === undefined || typeof sourceHandle !== 'string') continue
      setField(field.target, removeColumn(field, sourceHandle))
    }
  }
  const height = HEAD_PX + ROW_PX * Math.max(sourceColumns.length, targetColumns.length) + 8
  return (
    <div ref={ref} className={classes['canvas']} style={{ height }}>
      <ReactFlow<Side, Line>
        nodes={nodes}
        edges={edges}
        nodeTypes={NODES}
        edgeTypes={EDGES}
        colorMode={scheme}
        defaultViewport={{ x: 0, y: 0, zoom: 1 }}
        minZoom={1}
        maxZoom={1}
        panOnDrag={false}
        zoomOnScroll={false}
        zoomOnPinch={false}
        zoomOnDoubleClick={false}
        preventScrolling={false}
        autoPanOnConnect={false}
        autoPanOnNodeFocus={false}
        nodesDraggable={false}
        nodesFocusable={false}
        edgesFocusable={mayEdit}
        nodesConnectable={mayEdit}
        connectionRadius={ROW_PX / 2}
        deleteKeyCode={mayEdit ? ['Delete', 'Backspace'] : null}
        onConnect={draw}
        onEdgesDelete={erase}
        proOptions={{ hideAttribution: true }}
      />
    </div>
  )
}

/** The lines of the fields, and dashed those that are suggested beside them. */
function useLines(): Line[] {
  const { fields, judged, suggested } = useMappedTable()
  return useMemo(() => {
    const lineOf = (field: Field, column: string, look: 'plain' | 'computed' | 'suggested'): Line => ({
      id: `${look} ${column} → ${field.target}`,
      type: 'line',
      source: 'source',
      target: 'target',
      sourceHandle: column,
      targetHandle: field.target,
      deletable: look === 'plain',
      selectable: look === 'plain',
      focusable: look === 'plain',
      ariaLabel: `${column} feeds ${field.target}`,
      data: { judged: look === 'suggested' ? undefined : judged.get(field.target), look },
    })
    const drawn = fields.flatMap((field) => {
      const own = columnsOf(field)
      if (own.length > 0) return own.map((column) => lineOf(field, column, 'plain'))
      return (judged.get(field.target)?.columns ?? []).map((column) => lineOf(field, column, 'computed'))
    })
    const offered = [...suggested.values()].flatMap(({ mapping }) =>
      columnsOf(mapping).map((column) => lineOf(mapping, column, 'suggested')),
    )
    return [...drawn, ...offered]
  }, [fields, judged, suggested])
}

function LineEdge({ sourceX, sourceY, targetX, targetY, selected, data, id }: EdgeProps<Line>) {
  const [path] = getBezierPath({
    sourceX,
    sourceY,
    targetX,
    targetY,
    sourcePosition: Position.Right,
    targetPosition: Position.Left,
  })
  return (
    <g
      data-tone={toneOf(data?.judged)}
      data-look={data?.look}
      data-chosen={selected || undefined}
      className={classes['line']}
    >
      <BaseEdge id={id} path={path} interactionWidth={16} />
    </g>
  )
}

function SourceSide({ data }: NodeProps<Side>) {
  return (
    <div className={classes['side']} style={{ width: NODE_PX }}>
      <div className={classes['head']}>
        <span className="quiet">Source</span> <span className="mono">{data.title}</span>
      </div>
      {data.columns.map(({ name, type, nullable }) => (
        <div key={name} className={classes['row']}>
          <span className={classes['name']}>{name}</span>
          <span className={classes['type']}>{nullable ? type : `${type}, not null`}</span>
          <Handle id={name} type="source" position={Position.Right} title={`${name}: drag to a column of the target`} />
        </div>
      ))}
    </div>
  )
}

function TargetSide({ data }: NodeProps<Side>) {
  const { fields, problemOf } = useMappedTable()
  return (
    <div className={classes['side']} style={{ width: NODE_PX }}>
      <div className={classes['head']}>
        <span className="quiet">Target</span> <span className="mono">{data.title}</span>
      </div>
      {data.columns.map(({ name, type, nullable }) => {
        const field = fields.find((one) => one.target === name)
        return (
          <div key={name} className={classes['row']} data-wrong={problemOf(name) !== undefined || undefined}>
            <Handle id={name} type="target" position={Position.Left} title={`${name}: what is dragged here feeds it`} />
            <button type="button" className={classes['open']} onClick={() => data.onOpen(name)} title={`Edit ${name}`}>
              <span className={classes['name']}>{name}</span>
              {field !== undefined && <span className={classes['how']}>{howOf(field)}</span>}
              <span className={classes['type']}>{nullable ? type : `${type}, not null`}</span>
            </button>
          </div>
        )
      })}
    </div>
  )
}

/** What happens to a value beside being carried. */
function howOf(field: Field): string {
  const kind = kindOf(field)
  const [first, ...more] = (field.transforms ?? []).map((step) => readStep(step).name)
  const steps = first === undefined ? '' : more.length === 0 ? first : `${first} +${more.length}`
  const from =
    kind === 'constant'
      ? `= ${sourceInWords(field)}`
      : kind === 'expression'
        ? 'CEL'
        : kind === 'code'
          ? 'JavaScript'
          : ''
  return [from, steps].filter((word) => word !== '').join(' → ')
}
