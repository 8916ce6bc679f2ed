import { destination, pino, stdSerializers, stdTimeFunctions, type Logger } from 'pino'
import { AppError } from '#model/errors.ts'
import type { Config } from './config.ts'

export type { Logger } from 'pino'

/**
 * The log: one JSON object a line. Errors are copied field by field, because those of drivers carry rows and settings;
 * secrets are of a type that prints itself as `***` (SECURITY S45).
 */
export function createLogger({ logLevel, logFile }: Pick<Config, 'logLevel' | 'logFile'>): Logger {
  return pino(
    {
      level: logLevel,
      base: { pid: process.pid },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: describe, error: describe },
    },
    destination({ ...(logFile === null ? { dest: 1 } : { dest: logFile, mkdir: true }), sync: true, mode: 0o600 }),
  )
}

/** What may be said of an error: never more than code, words and the place where it came from. */
function describe(thrown: unknown): Record<string, unknown> {
  if (thrown instanceof AppError) {
    const { code, message, hint, retry, stack } = thrown
    return { code, message: hideUserinfo(message), hint, retry, stack: hideUserinfo(stack ?? '') }
  }
  if (!(thrown instanceof Error)) return { message: 'something that is no error was thrown' }
  const { type, message, stack } = stdSerializers.err(thrown)
  return { type, message: hideUserinfo(message), stack: hideUserinfo(stack) }
}

/** A URL in somebody else's words may carry user and password. */
function hideUserinfo(text: string): string {
  return text.replaceAll(/([a-z][a-z0-9+.-]*:\/\/)[^\s/@]+@/gi, '$1***@')
}
