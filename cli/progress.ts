import cliProgress from 'cli-progress'
import type { CliContext } from './context.ts'

/** How far a run is. A total that is not known yet grows. */
export interface Progress {
  total(count: number): void
  step(): void
  /** So many are done. */
  at(count: number): void
  /** A line that stays, above the bar. */
  say(line: string): void
  end(): void
}

export interface ProgressOptions {
  /** Tells how many a second it is since the beginning. @default false */
  rate?: boolean
}

const plainEveryMs = 5_000

/** A bar where standard error is a terminal, and a line every five seconds where it is a file or a pipe. */
export function createProgress(
  context: Pick<CliContext, 'stderr'>,
  what: string,
  options: ProgressOptions = {},
): Progress {
  return context.stderr.isTTY ? bar(context, what, options) : plainLines(context, what, options)
}

function bar({ stderr }: Pick<CliContext, 'stderr'>, what: string, { rate = false }: ProgressOptions): Progress {
  const drawn = new cliProgress.SingleBar(
    {
      format: `${what} {bar} {value}/{total} ${rate ? '{rate}/s ' : ''}{duration_formatted}`,
      hideCursor: true,
      stream: stderr,
      // Ctrl-C is the command's.
      gracefulExit: false,
    },
    cliProgress.Presets.shades_classic,
  )
  let total = 0
  let value = 0
  const startedAtMs = performance.now()
  const show = (): void => drawn.update(value, { rate: perSecond(value, startedAtMs) })
  drawn.start(total, value, { rate: 0 })
  return {
    total: (count) => drawn.setTotal((total = count)),
    step() {
      value += 1
      show()
    },
    at(count) {
      value = count
      show()
    },
    say(line) {
      stderr.write(`\r\u001b[K${line}\n`)
      drawn.render()
    },
    end: () => drawn.stop(),
  }
}

function plainLines({ stderr }: Pick<CliContext, 'stderr'>, what: string, { rate = false }: ProgressOptions): Progress {
  let total = 0
  let value = 0
  const startedAtMs = performance.now()
  let saidAtMs = startedAtMs
  const tell = (): void => {
    const fast = rate ? `, ${perSecond(value, startedAtMs)}/s` : ''
    stderr.write(`${what}: ${value} of ${total}${fast}\n`)
  }
  function reach(count: number): void {
    value = count
    if (performance.now() - saidAtMs < plainEveryMs) return
    saidAtMs = performance.now()
    tell()
  }
  return {
    total: (count) => void (total = count),
    step: () => reach(value + 1),
    at: reach,
    say: (line) => void stderr.write(`${line}\n`),
    end: tell,
  }
}

function perSecond(count: number, sinceMs: number): number {
  return Math.round(count / Math.max(0.001, (performance.now() - sinceMs) / 1_000))
}
