import type { Command, Option } from 'commander'

export const SHELLS = ['bash', 'zsh', 'fish'] as const

export type Shell = (typeof SHELLS)[number]

/** A word that may follow, and what it means. */
interface Word {
  readonly word: string
  readonly help: string
}

/** What may follow one command: further commands and options. */
interface Place {
  /** The words of the command after the program's name; empty for the program itself. */
  readonly path: readonly string[]
  readonly words: readonly Word[]
}

/** The script that a shell reads so that Tab completes the commands and options of a program. */
export function completionScript(program: Command, shell: Shell): string {
  const places = placesOf(program, [])
  const name = program.name()
  switch (shell) {
    case 'bash':
      return bashScript(name, places)
    case 'zsh':
      return zshScript(name, places)
    case 'fish':
      return fishScript(name, places)
    default:
      throw new Error(`unknown shell ${String(shell satisfies never)}`)
  }
}

function placesOf(command: Command, path: readonly string[]): Place[] {
  const { commands, options } = { commands: visible(command), options: command.options.filter(({ hidden }) => !hidden) }
  const words = [
    ...commands.map((each) => ({ word: each.name(), help: each.description() })),
    ...options.flatMap((option) => flagsOf(option)),
    { word: '--help', help: 'show help' },
  ]
  return [{ path, words }, ...commands.flatMap((each) => placesOf(each, [...path, each.name()]))]
}

function visible(command: Command): Command[] {
  return command.createHelp().visibleCommands(command)
}

function flagsOf({ long, description }: Option): Word[] {
  return long === undefined ? [] : [{ word: long, help: description }]
}

/** The program's words that are no options, in the order in which they came, name the place. */
function bashScript(name: string, places: readonly Place[]): string {
  const cases = places.map(
    ({ path, words }) => `    '${path.join(' ')}') words='${words.map(({ word }) => word).join(' ')}' ;;`,
  )
  return [
    `_${name}() {`,
    '  local current="${COMP_WORDS[COMP_CWORD]}" place="" words="" word',
    `  local known=' ${knownPaths(places).join(' ')} '`,
    '  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do',
    '    [[ "$word" == -* ]] && continue',
    '    [[ "$known" == *" ${place:+${place// /\\/}/}$word "* ]] && place="${place:+$place }$word"',
    '  done',
    '  case "$place" in',
    ...cases,
    '  esac',
    '  COMPREPLY=($(compgen -W "$words" -- "$current"))',
    '}',
    `complete -o default -F _${name} ${name}`,
    '',
  ].join('\n')
}

function zshScript(name: string, places: readonly Place[]): string {
  const quoted = ({ word, help }: Word): string => `'${word.replaceAll(':', '\\:')}:${help.replaceAll("'", "'\\''")}'`
  return [
    `#compdef ${name}`,
    `_${name}() {`,
    '  local place="" word',
    `  local known=' ${knownPaths(places).join(' ')} '`,
    '  local -a words_here',
    '  for word in "${(@)words[2,CURRENT-1]}"; do',
    '    [[ "$word" == -* ]] && continue',
    '    [[ "$known" == *" ${place:+${place// //}/}$word "* ]] && place="${place:+$place }$word"',
    '  done',
    '  case "$place" in',
    ...places.map(({ path, words }) => `    '${path.join(' ')}') words_here=(${words.map(quoted).join(' ')}) ;;`),
    '  esac',
    `  _describe '${name}' words_here || _files`,
    '}',
    `if [ "$funcstack[1]" = "_${name}" ]; then _${name}; else compdef _${name} ${name}; fi`,
    '',
  ].join('\n')
}

function fishScript(name: string, places: readonly Place[]): string {
  const escape = (help: string): string => `'${help.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
  return [
    ...places.flatMap(({ path, words }) => {
      const nested = words.filter(({ word }) => !word.startsWith('--')).map(({ word }) => word)
      const seen = path.map((word) => `__fish_seen_subcommand_from ${word}`)
      const none = nested.length === 0 ? [] : [`not __fish_seen_subcommand_from ${nested.join(' ')}`]
      const where = [...seen, ...none].join('; and ') || 'true'
      return words.map(({ word, help }) =>
        word.startsWith('--')
          ? `complete -c ${name} -n '${seen.join('; and ') || 'true'}' -l ${word.slice(2)} -d ${escape(help)}`
          : `complete -c ${name} -n '${where}' -a ${word} -d ${escape(help)}`,
      )
    }),
    '',
  ].join('\n')
}

function knownPaths(places: readonly Place[]): string[] {
  return places.flatMap(({ path }) => (path.length === 0 ? [] : [path.join('/')]))
}
