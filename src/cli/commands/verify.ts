import type { Command } from 'commander'
import { addCommonFlags, type Runner } from '#cli/command.ts'
import { verifyLines } from '#cli/report-comparison.ts'
import { addComparisonFlags, addTableFlags, type ComparisonFlags } from '#cli/sync-options.ts'
import { TableFlags } from '#cli/table-options.ts'
import { compare, toComparisonRequest, toOutcome } from './diff.ts'

const HELP = `
Each side makes a proof over all its rows by itself: a count and 256 bits over their contents, in whatever order they
lie. Equal proofs mean equal tables. Rows are compared one by one only where the proofs differ. Nothing is written.

Examples:
  syncline verify env:SOURCE env:TARGET
  syncline verify env:SOURCE env:TARGET --table orders --json
`

export function addVerify(program: Command, run: Runner): void {
  const tables = new TableFlags()
  const command = program
    .command('verify <source> <target>')
    .description('prove that both sides are equal: exit code 0 if they are, 3 if not')
  addComparisonFlags(addTableFlags(command, tables)).addHelpText('after', HELP)
  addCommonFlags(command).action(async (source: string, target: string, flags: ComparisonFlags) =>
    run(command, async (context) => {
      const request = toComparisonRequest({ source, target }, { tables, flags }, context)
      const { comparison, notes } = await compare(request, 'proof', context)
      return toOutcome(comparison, { lines: verifyLines(comparison, notes), notes })
    }),
  )
}
