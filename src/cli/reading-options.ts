import { Option, type Command } from 'commander'
import { DEFAULT_READING, DUMP_CONTENTS, MOST_PARALLEL, type DumpContent, type ReadingOptions } from '#model/dump.ts'
import { collect, count } from './sync-options.ts'

/** What of a database an export or a copy carries. */
export interface ReadingFlags {
  readonly content: DumpContent
  readonly schema?: readonly string[]
  readonly excludeSchema?: readonly string[]
  readonly table?: readonly string[]
  readonly excludeTable?: readonly string[]
  readonly owners?: true
  readonly grants?: true
  readonly sameProvider?: true
  readonly parallel: number
}

export function addReadingFlags(command: Command): Command {
  const d = DEFAULT_READING
  return command
    .addOption(
      new Option('--content <what>', 'definitions and rows, or one of them')
        .choices([...DUMP_CONTENTS])
        .default(d.content),
    )
    .option('--schema <name>', 'only this schema; repeatable', collect)
    .option('--exclude-schema <name>', 'not this schema; repeatable', collect)
    .option('--table <name>', 'only this table, with * for any characters; repeatable', collect)
    .option('--exclude-table <name>', 'no rows of this table; repeatable', collect)
    .option('--owners', 'with who owns what')
    .option('--grants', 'with who has been granted what')
    .option('--same-provider', 'with what leads to schemas of the provider: it goes into a project of the same one')
    .option(
      '--parallel <n>',
      'tables, and pieces of large ones, that are read at once',
      count(1, MOST_PARALLEL),
      d.parallel,
    )
}

export function toReading(flags: ReadingFlags): ReadingOptions {
  return {
    content: flags.content,
    schemas: flags.schema ?? null,
    excludeSchemas: flags.excludeSchema ?? [],
    tables: flags.table ?? null,
    excludeTables: flags.excludeTable ?? [],
    owners: flags.owners ?? false,
    grants: flags.grants ?? false,
    sameProvider: flags.sameProvider ?? false,
    parallel: flags.parallel,
  }
}

/** As a request has it. */
export function readingBody(options: ReadingOptions): Readonly<Record<string, unknown>> {
  const { content, schemas, tables, owners, grants, sameProvider, parallel } = options
  return {
    content,
    ...(schemas === null ? {} : { schemas }),
    exclude_schemas: options.excludeSchemas,
    ...(tables === null ? {} : { tables }),
    exclude_tables: options.excludeTables,
    owners,
    grants,
    same_provider: sameProvider,
    parallel,
  }
}
