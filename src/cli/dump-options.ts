import { Option, type Command } from 'commander'
import {
  DEFAULT_EXPORT,
  DUMP_COMPRESSIONS,
  DUMP_STYLES,
  type DumpCompression,
  type DumpStyle,
  type ExportOptions,
} from '#model/dump.ts'
import { addReadingFlags, readingBody, toReading, type ReadingFlags } from './reading-options.ts'

/** What an export writes, and how. */
export interface DumpFlags extends ReadingFlags {
  readonly style: DumpStyle
  readonly compress: DumpCompression
  readonly passphrase?: string
}

export function addDumpFlags(command: Command): Command {
  const d = DEFAULT_EXPORT
  return addReadingFlags(command)
    .addOption(
      new Option('--style <how>', 'rows as COPY blocks, or as INSERTs').choices([...DUMP_STYLES]).default(d.style),
    )
    .addOption(
      new Option('--compress <how>', 'how the file is packed').choices([...DUMP_COMPRESSIONS]).default(d.compression),
    )
    .option('--passphrase <reference>', 'seal the file with the passphrase in env:NAME or file:PATH')
}

export function toExport(flags: DumpFlags): ExportOptions {
  const { style, compress: compression, passphrase = null } = flags
  return { ...toReading(flags), style, compression, passphrase }
}

/** As a request has it. */
export function exportBody(flags: DumpFlags): Readonly<Record<string, unknown>> {
  const { style, compression, passphrase, ...reading } = toExport(flags)
  return {
    ...readingBody(reading),
    style,
    compression,
    ...(passphrase === null ? {} : { passphrase_reference: passphrase }),
  }
}
