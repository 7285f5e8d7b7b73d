import { CommanderError } from 'commander'
import { ShuntError } from '#lib/errors'
import { kafkaErrorType } from '#lib/stream/kafka-errors'
import type { CliContext } from './context.ts'
import { printable } from './output.ts'

export const exitCodes = { ok: 0, failed: 1, usage: 2, interrupted: 130 } as const

/** One line with code and remedy; the stack only where SHUNT_DEBUG asks for it. Returns the exit code. */
export function reportError(context: Pick<CliContext, 'env' | 'stderr' | 'signal'>, error: unknown): number {
  const { env, stderr, signal } = context
  // commander has written its own line.
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage
  if (signal.aborted && (error === signal.reason || (error instanceof Error && error.name === 'AbortError')))
    return exitCodes.interrupted
  stderr.write(`shunt: ${messageOf(error)}\n`)
  if (env['SHUNT_DEBUG'] && error instanceof Error) stderr.write(`${error.stack}\n`)
  return exitCodes.failed
}

/** An error as one line: the code, what happened, what to do. */
export function messageOf(error: unknown): string {
  if (error instanceof ShuntError) return `${error.code}: ${oneLine(error.message)}`
  if (!(error instanceof Error)) return oneLine(String(error))
  if (error.name.startsWith('KafkaJS'))
    return `SHUNT_KAFKA_UNAVAILABLE: ${kafkaErrorType(error) ?? oneLine(error.message)}; check KAFKA_BROKERS, or run \`shunt up\``
  if ('code' in error && error.code === 'ENOENT' && 'path' in error) return `${String(error.path)}: no such file`
  return `${oneLine(error.message)} (SHUNT_DEBUG=1 shows where)`
}

function oneLine(text: string): string {
  return printable(text.replaceAll(/\s*\n\s*/g, ' '))
}
