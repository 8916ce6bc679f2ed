import type { Command } from 'commander'
import { addCommonFlags, type Context, type Outcome, type Runner } from '#cli/command.ts'
import { Progress } from '#cli/progress.ts'
import { comparisonSummary, diffLines, exitOfComparison } from '#cli/report-comparison.ts'
import { addComparisonFlags, addTableFlags, toRequest, type ComparisonFlags } from '#cli/sync-options.ts'
import { TableFlags } from '#cli/table-options.ts'
import { systemClock } from '#lib/clock.ts'
import { DEFAULT_POLICIES } from '#model/sync-config.ts'
import { compareOneLine, type Comparison, type OneLineRequest } from '#service/one-line.ts'

/** Keys that are shown of each table. */
const SAMPLES = 20

const HELP = `
Nothing is written to either side. Rows that differ are read again after a moment, and those that somebody is changing
right now are counted as in motion and not as different.

Examples:
  syncline diff env:SOURCE env:TARGET
  syncline diff env:SOURCE env:TARGET --table 'shop.*' --json
`

export function addDiff(program: Command, run: Runner): void {
  const tables = new TableFlags()
  const command = program
    .command('diff <source> <target>')
    .description('show which rows differ: exit code 0 if none do, 3 if some do')
  addComparisonFlags(addTableFlags(command, tables)).addHelpText('after', HELP)
  addCommonFlags(command).action(async (source: string, target: string, flags: ComparisonFlags) =>
    run(command, async (context) => {
      const request = toComparisonRequest({ source, target }, { tables, flags }, context)
      const { comparison, notes } = await compare(request, 'rows', context)
      return toOutcome(comparison, { lines: diffLines(comparison, notes), notes })
    }),
  )
}

export function toComparisonRequest(
  ends: { source: string; target: string },
  { tables, flags }: { tables: TableFlags; flags: ComparisonFlags },
  { output }: Context,
): OneLineRequest {
  const policies = { ...DEFAULT_POLICIES, detectionStrategy: flags.strategy, parallel: flags.parallel }
  return toRequest(ends, { tables, policies }, output)
}

export async function compare(
  request: OneLineRequest,
  by: 'rows' | 'proof',
  { output, signal }: Context,
): Promise<{ comparison: Comparison; notes: readonly string[] }> {
  using progress = new Progress(output, systemClock)
  const comparison = await compareOneLine(request, { by, samples: SAMPLES }, { journal: progress, signal })
  return { comparison, notes: progress.notes }
}

export function toOutcome(
  comparison: Comparison,
  { lines, notes }: { lines: readonly string[]; notes: readonly string[] },
): Outcome {
  const summary = comparisonSummary(comparison)
  return {
    exit: exitOfComparison(comparison),
    summary,
    result: { ...comparison, notes },
    lines: [...lines, summary],
  }
}
