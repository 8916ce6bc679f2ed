import { Argument, type Command } from 'commander'
import { addCommonFlags, type Runner } from '#cli/command.ts'
import { completionScript, SHELLS, type Shell } from '#cli/completion.ts'
import { EXIT } from '#model/errors.ts'

const HELP = `
Examples:
  syncline completion bash >> ~/.bashrc
  syncline completion zsh > "\${fpath[1]}/_syncline"
  syncline completion fish > ~/.config/fish/completions/syncline.fish
`

export function addCompletion(program: Command, run: Runner): void {
  const command = program
    .command('completion')
    .description('print the script by which a shell completes commands and options')
    .addArgument(new Argument('<shell>', 'the shell').choices(SHELLS))
    .addHelpText('after', HELP)
  addCommonFlags(command).action(async (shell: Shell) =>
    run(command, () => {
      const script = completionScript(program, shell)
      return Promise.resolve({
        exit: EXIT.done,
        summary: `completion for ${shell}`,
        result: { script },
        lines: [script],
      })
    }),
  )
}
