import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { addAbortSignal, type Readable } from 'node:stream'
import { collect, type Read } from '#lib/calibration/labels'
import type { CliContext } from './context.ts'
import { printable } from './output.ts'

/** A file of JSONL, or standard input for `-`, until Ctrl-C. */
export async function openLines(
  { stdin, signal }: Pick<CliContext, 'stdin' | 'signal'>,
  file: string,
): Promise<Readable> {
  if (file === '-') return addAbortSignal(signal, stdin)
  const stream = createReadStream(file)
  await once(stream, 'open')
  return addAbortSignal(signal, stream)
}

/** All lines that can be read; each that cannot is named by its number. Throws SHUNT_LABELS_TOO_FEW where none can. */
export async function readAll<T>(
  context: CliContext,
  file: string,
  read: (bytes: AsyncIterable<Uint8Array | string>) => AsyncIterable<Read<T>>,
): Promise<T[]> {
  const { values, bad } = await collect(read(await openLines(context, file)))
  for (const { number, reason } of bad) context.stderr.write(`${printable(`${file}:${number}: ${reason}`)}\n`)
  return values
}
