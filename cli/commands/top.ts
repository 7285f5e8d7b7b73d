import { setTimeout as sleep } from 'node:timers/promises'
import { abortable } from '#lib/stream/abortable'
import { connect, type AddCommand, type CliContext } from '../context.ts'
import { durationOption } from '../options.ts'
import { writeJson, writeLines } from '../output.ts'
import { readPartRecords, serviceNames } from '../stack/part-record.ts'
import { shuntDir, stackDir } from '../stack/paths.ts'
import { openTop, type Frame, type ProcessView } from '../top/collect.ts'
import { coloured, drawFrame, plain } from '../top/draw.ts'

interface TopFlags {
  once?: true
  json?: true
  interval: number
  service: string[]
}

export const addTopCommand: AddCommand = (program, run) => {
  program
    .command('top')
    .description('live: results by tier and status, spend, lag, calls, pauses, until Ctrl-C')
    .option('--once', 'one frame, after one interval')
    .option('--json', 'each frame as a line of JSON')
    .addOption(durationOption('--interval <duration>', 'from one frame to the next', '1s'))
    .option('--service <url>', 'a service elsewhere, by the address of its /metrics; may be repeated', append, [])
    .addHelpText('after', '\nThe services of the local stack are found by themselves.')
    .action(
      run(async (context, flags: TopFlags) => {
        const { config, ...deps } = await connect(context)
        const { namespace } = config
        const services = () => [...localServices(), ...flags.service.map((url) => ({ id: url, url }))]
        await using top = await openTop({ ...deps, nowMs: Date.now }, { namespace, signal: context.signal, services })
        const screen = openScreen(context, flags)
        try {
          do {
            await sleep(Math.max(100, flags.interval), undefined, { signal: context.signal })
            screen.show(await abortable(top.frame(), context.signal))
          } while (!flags.once)
        } finally {
          screen.close()
        }
      }),
    )
}

function append(url: string, before: string[]): string[] {
  return [...before, url.replace(/\/(metrics\/?)?$/, '')]
}

function localServices(): Pick<ProcessView, 'id' | 'url'>[] {
  const isService = (name: string) => serviceNames.some((each) => each === name)
  const records = readPartRecords(stackDir(shuntDir).run).filter(({ name }) => isService(name))
  return records.map(({ id, address }) => ({ id, url: address }))
}

/** A terminal shows one frame in the other's place, on a screen of its own; elsewhere they follow each other. */
function openScreen(context: CliContext, { once, json }: TopFlags): { show(frame: Frame): void; close(): void } {
  const { stdout } = context
  if (json) return { show: (frame) => writeJson(context, frame), close() {} }
  if (once || !stdout.isTTY)
    return { show: (frame) => writeLines(context, [...drawFrame(frame, plain), ...(once ? [] : [''])]), close() {} }
  stdout.write('\u001b[?1049h\u001b[?25l')
  return {
    show: (frame) => void stdout.write(`\u001b[H${drawFrame(frame, coloured).join('\u001b[K\n')}\u001b[K\u001b[J`),
    close: () => void stdout.write('\u001b[?25h\u001b[?1049l'),
  }
}
