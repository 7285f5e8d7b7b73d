import { once } from 'node:events'
import { formatOrigin } from '#lib/audit/records'
import { summaryOf, type DeadLetter, type LetterSummary } from '#lib/dead-letters/dead-letter'
import { decodeLetter } from '#lib/dead-letters/decode-letter'
import { letterName, parseLetterId } from '#lib/dead-letters/letter-id'
import { findLetters } from '#lib/dead-letters/read-letters'
import { readRequeueOrders, requeueOrderName } from '#lib/dead-letters/requeue-orders'
import { connect, type AddCommand, type CliContext } from '../context.ts'
import { formatLetter, letterJson, textOrHex } from '../format-letter.ts'
import { duration, wholeNumber } from '../options.ts'
import { formatTable, formatTime, plural, printable, writeJson, writeLines } from '../output.ts'
import { scanLetters, type LetterFilter } from '../scan-letters.ts'
import { addRequeueCommand } from './deadletter-requeue.ts'

export const addDeadletterCommand: AddCommand = (program, run) => {
  const deadletter = program
    .command('deadletter')
    .description('records that could not be handled, with their bytes: see them, and have them tried again')
  deadletter
    .command('list')
    .description('dead letters, the newest last')
    .option('--since <duration>', 'not older than this (default: all that are kept)', duration)
    .option('--until <duration>', 'older than this', duration)
    .option('--code <code>', 'of one code, such as SHUNT_TENANT_UNKNOWN')
    .option('--topic <topic>', 'of records of one topic')
    .option('--limit <count>', 'the newest so many', wholeNumber(1, 100_000), 100)
    .option('--json', 'each as a line of JSON')
    .action(
      run(async (context, flags: LetterFilter & { limit: number; json?: true }) => {
        const { config, ...deps } = await connect(context)
        const newest: LetterSummary[] = []
        let found = 0
        await scanLetters(context, { config, ...deps }, { ...flags, nowMs: Date.now() }, (letter) => {
          found += 1
          newest.push(summaryOf(letter))
          if (newest.length >= 2 * flags.limit + 1_000) keepNewest(newest, flags.limit)
        })
        keepNewest(newest, flags.limit)
        const orders = await readRequeueOrders(deps, { namespace: config.namespace, signal: context.signal })
        const requeuedAt = (letter: LetterSummary) => orders.get(requeueOrderName(letter))?.atMs
        if (flags.json) {
          for (const letter of newest) {
            const key = letter.key && textOrHex(letter.key)
            writeJson(context, { id: letterName(letter), ...letter, key, requeuedAtMs: requeuedAt(letter) ?? null })
          }
          return
        }
        if (newest.length > 0)
          writeLines(
            context,
            formatTable<LetterSummary>(
              [
                { title: 'letter', value: letterName },
                { title: 'given up', value: ({ atMs }) => formatTime(atMs) },
                { title: 'record', value: ({ origin }) => formatOrigin(origin) },
                { title: 'bytes', align: 'right', value: ({ bytes }) => String(bytes) },
                { title: 'requeued', value: (letter) => (requeuedAt(letter) === undefined ? '-' : 'yes') },
                { title: 'code', value: ({ code }) => code },
                { title: 'message', value: ({ message }) => message },
              ],
              newest,
            ).map(printable),
          )
        const older = found - newest.length
        context.stderr.write(
          `${plural(found, 'dead letter')}${older > 0 ? `, the oldest ${older} not shown: --limit` : ''}\n`,
        )
      }),
    )
  deadletter
    .command('show')
    .description('one dead letter: where it came from, why, its headers, and its value decoded where that is possible')
    .argument('<letter>', 'PARTITION/OFFSET as the list has it, or TOPIC/PARTITION/OFFSET of the record')
    .option('--raw', 'write the value alone, byte for byte, to standard output')
    .option('--json', 'print it as JSON')
    .addHelpText('after', '\nA value is what its publisher wrote: it may hold prompts.')
    .action(
      run(async (context, text: string, flags: { raw?: true; json?: true }) => {
        const { config, ...deps } = await connect(context)
        const { namespace } = config
        const options = { namespace, signal: context.signal }
        let found: DeadLetter | undefined
        await findLetters(deps, [parseLetterId(namespace, text)], {
          ...options,
          onLetter: (letter) => void (found = letter),
        })
        const letter = found!
        if (flags.raw) return writeRaw(context, letter.value ?? Buffer.alloc(0))
        const decoded = await decodeLetter(letter, { codec: deps.codec, namespace })
        if (flags.json) return writeJson(context, letterJson(letter, decoded))
        const orders = await readRequeueOrders(deps, options)
        writeLines(context, formatLetter(letter, decoded, orders.get(requeueOrderName(letter))))
      }),
    )
  addRequeueCommand(deadletter, run)
}

function keepNewest(letters: LetterSummary[], count: number): void {
  letters.sort((a, b) => a.atMs - b.atMs)
  letters.splice(0, Math.max(0, letters.length - count))
}

async function writeRaw({ stdout }: CliContext, bytes: Buffer): Promise<void> {
  if (!stdout.write(bytes)) await once(stdout, 'drain')
}
