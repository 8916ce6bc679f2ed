import { HighlightStyle, syntaxHighlighting } from '@codemirror/language'
import { tags } from '@lezer/highlight'
import CodeMirror, { EditorView, type Extension, type ReactCodeMirrorRef } from '@uiw/react-codemirror'
import { useMemo, type Ref } from 'react'
import { NONCE } from '#lib/nonce.ts'

interface CodeEditorProps {
  readonly ref?: Ref<ReactCodeMirrorRef>
  /** What is written in it, for those who hear it. */
  readonly label: string
  /** The language, and what else it is to do. The same list at each drawing. */
  readonly extensions: readonly Extension[]
  readonly value: string
  readonly onChange: (value: string) => void
  readonly onCreate?: (view: EditorView) => void
  readonly readOnly?: boolean
}

/** An editor of code. It is large: only pages that need it load it. Its colours are those of the page, in either scheme. */
export function CodeEditor({ ref, label, extensions, value, onChange, onCreate, readOnly = false }: CodeEditorProps) {
  const all = useMemo(
    () => [
      ...extensions,
      EditorView.cspNonce.of(NONCE),
      EditorView.contentAttributes.of({ 'aria-label': label }),
      EditorView.lineWrapping,
      THEME,
      syntaxHighlighting(COLOURS),
    ],
    [extensions, label],
  )
  return (
    <CodeMirror
      {...(ref === undefined ? {} : { ref })}
      value={value}
      onChange={onChange}
      theme="none"
      extensions={all}
      readOnly={readOnly}
      editable={!readOnly}
      minHeight="240px"
      maxHeight="max(320px, calc(100vh - 320px))"
      {...(onCreate === undefined ? {} : { onCreateEditor: onCreate })}
    />
  )
}

const THEME = EditorView.theme({
  '&': {
    border: '1px solid var(--line)',
    borderRadius: '4px',
    fontSize: '0.8125rem',
    backgroundColor: 'var(--ground)',
  },
  '&.cm-focused': { outline: '2px solid var(--mantine-primary-color-filled)' },
  '.cm-scroller': { fontFamily: 'var(--mantine-font-family-monospace)' },
  '.cm-content': { caretColor: 'var(--mantine-color-text)' },
  '.cm-cursor': { borderLeftColor: 'var(--mantine-color-text)' },
  '.cm-gutters': {
    backgroundColor: 'var(--ground-raised)',
    color: 'var(--ink-quiet)',
    borderRight: '1px solid var(--line)',
  },
  '.cm-activeLine': { backgroundColor: 'transparent' },
  '.cm-activeLineGutter': { backgroundColor: 'transparent', color: 'inherit' },
  '&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground': {
    backgroundColor: 'var(--mantine-primary-color-light)',
  },
  '.cm-tooltip': { backgroundColor: 'var(--ground-raised)', borderColor: 'var(--line)' },
  '.cm-panels': { backgroundColor: 'var(--ground-raised)', color: 'inherit' },
})

const COLOURS = HighlightStyle.define([
  { tag: [tags.propertyName, tags.definition(tags.propertyName), tags.keyword], color: 'var(--tone-running)' },
  { tag: [tags.string, tags.content], color: 'inherit' },
  { tag: [tags.number, tags.bool, tags.null], color: 'var(--tone-person)' },
  { tag: [tags.comment, tags.punctuation, tags.separator], color: 'var(--ink-quiet)' },
])
