import classes from './value.module.css'

/** The value of a cell as the server writes it. NULL, an empty text and spaces at an end can be told apart. */
export function Value({ text }: { readonly text: string | null | undefined }) {
  if (text === undefined) return <span className={classes['none']}>none</span>
  if (text === null) return <span className={classes['none']}>NULL</span>
  if (text === '') return <span className={classes['none']}>empty</span>
  const [, before = '', middle = '', after = ''] = /^(\s*)(.*?)(\s*)$/s.exec(text) ?? []
  return (
    <span className={classes['value']}>
      <Spaces text={before} />
      {middle}
      <Spaces text={after} />
    </span>
  )
}

function Spaces({ text }: { readonly text: string }) {
  if (text === '') return null
  return (
    <span className={classes['spaces']}>{text.replaceAll(' ', '·').replaceAll('\t', '⇥').replaceAll('\n', '⏎\n')}</span>
  )
}
