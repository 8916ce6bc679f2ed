import type { Command } from 'commander'
import { addCommonFlags, type Outcome, type Runner } from '#cli/command.ts'
import { EXIT } from '#model/errors.ts'
import { migrateStore } from '#service/migrate.ts'

export function addMigrate(program: Command, run: Runner): void {
  const command = program
    .command('migrate')
    .description('bring the control store to the version of this program; serve does the same by itself')
  addCommonFlags(command).action(async () => run(command, migrate))
}

async function migrate(): Promise<Outcome> {
  const { place, version, copy } = await migrateStore()
  const summary = `${place} has version ${version}`
  return {
    exit: EXIT.done,
    summary,
    result: { place, version, copy },
    lines: [...(copy === null ? [] : [`The store as it was before: ${copy}`]), summary],
  }
}
