import { Button, Group, Stack, Text } from '@mantine/core'
import { yaml } from '@codemirror/lang-yaml'
import { lintGutter, setDiagnostics, type Diagnostic } from '@codemirror/lint'
import type { EditorView, ReactCodeMirrorRef } from '@uiw/react-codemirror'
import { useEffect, useMemo, useRef, useState } from 'react'
import { ApiProblem } from '#api/client.ts'
import { isSame } from '#features/sync-configs/document.ts'
import { useDraft } from '#features/sync-configs/draft.tsx'
import { lineOf, readText, writeText, type TextProblem } from '#features/sync-configs/yaml-text.ts'
import { CodeEditor } from '#ui/code-editor.tsx'
import { CopyButton } from '#ui/copy.tsx'
import { Mark } from '#ui/mark.tsx'

const EXTENSIONS = [yaml(), lintGutter()]

/** The same document as text. What can be read is taken into the form at once; what cannot is named by its line. */
export function YamlTab() {
  const { document, change, mayEdit, unread, setUnread, save } = useDraft()
  const [text, setText] = useState(() => unread ?? writeText(document))
  const editor = useRef<ReactCodeMirrorRef>(null)
  const written = useRef(document)
  const problems = useMemo(() => problemsOf(text, save.error), [text, save.error])
  // A change that was not made here, such as one that was discarded, is written anew.
  useEffect(() => {
    if (written.current === document) return
    written.current = document
    const now = readText(text)
    if (now.document === null || !isSame(now.document, document)) setText(writeText(document))
    // Only a new document matters here, not a new text.
    // oxlint-disable-next-line react/exhaustive-deps
  }, [document])
  useEffect(() => show(editor.current?.view, problems), [problems])

  const edit = (next: string): void => {
    setText(next)
    const read = readText(next)
    if (read.document === null) {
      setUnread(next)
      return
    }
    setUnread(null)
    change(() => read.document)
  }
  return (
    <Stack gap="sm">
      <Group justify="space-between">
        <Text size="sm" className="quiet">
          {mayEdit
            ? 'What you write here is in the other tabs at once. A file of several configs is applied by syncline apply -f FILE.'
            : 'The document, as a file under version control would hold it.'}
        </Text>
        <CopyButton text={text}>Copy the text</CopyButton>
      </Group>
      <CodeEditor
        ref={editor}
        label="The sync config as YAML"
        value={text}
        onChange={edit}
        extensions={EXTENSIONS}
        readOnly={!mayEdit}
        onCreate={(view) => show(view, problems)}
      />
      <Stack gap={4} aria-live="polite">
        {problems.map(({ line, message }) => (
          <Group key={`${line} ${message}`} gap="xs">
            <Mark tone="failed">{line === null ? 'Not right' : `Line ${line}`}</Mark>
            <Text size="sm">{message}</Text>
            {line !== null && (
              <Button variant="default" size="compact-xs" onClick={() => goTo(editor.current?.view, line)}>
                Go to line {line}
              </Button>
            )}
          </Group>
        ))}
      </Stack>
    </Stack>
  )
}

function problemsOf(text: string, refusal: Error | null): readonly TextProblem[] {
  const read = readText(text)
  if (read.problems !== null) return read.problems
  if (!(refusal instanceof ApiProblem)) return []
  return refusal.places.map(({ place, message }) => {
    const at = place.replace(/^body#\/?/, '')
    return { line: lineOf(text, at), message: `${at.replaceAll('/', ' › ')}: ${message}` }
  })
}

function show(view: EditorView | undefined, problems: readonly TextProblem[]): void {
  if (view === undefined) return
  const { doc } = view.state
  const diagnostics = problems.flatMap(({ line, message }): Diagnostic[] => {
    if (line === null || line > doc.lines) return []
    const { from, to } = doc.line(line)
    return [{ from, to, severity: 'error', message }]
  })
  view.dispatch(setDiagnostics(view.state, diagnostics))
}

function goTo(view: EditorView | undefined, line: number): void {
  if (view === undefined || line > view.state.doc.lines) return
  view.dispatch({ selection: { anchor: view.state.doc.line(line).from }, scrollIntoView: true })
  view.focus()
}
