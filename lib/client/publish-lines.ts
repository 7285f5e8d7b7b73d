import type { ShuntError } from '#lib/errors'
import type { AgentStep, StepResult } from '#lib/events/types.generated'
import type { Client } from './create-client.ts'
import type { EarlierResults } from './earlier-results.ts'
import { createPublications } from './publications.ts'
import type { StepLine } from './read-steps.ts'
import type { StepKey } from './waits.ts'

export interface PublishLinesDeps {
  client: Pick<Client, 'publishAll' | 'onResult'>
  /** Where results are awaited. */
  earlier?: EarlierResults
}

export interface PublishLinesOptions {
  signal: AbortSignal
  /** Gives up once nothing came for so long, ms. */
  idleTimeoutMs: number
  onBadLine: (number: number, problem: Pick<ShuntError, 'code' | 'message'>) => void
  onPublished: (step: Pick<AgentStep, 'stepId'>) => void
  onFailed: (step: StepKey, error: unknown) => void
  onEnd: (result: StepResult) => void
  onSecond: (result: StepResult, first: string, second: string) => void
}

export interface PublishReport {
  published: number
  badLines: number
  /** Not acknowledged by the broker. */
  failed: number
  /** Steps with their one result. */
  ended: number
  /** Results beyond the first of a step. */
  second: number
  /** Published, and without a result when the wait ended. */
  missing: StepKey[]
}

/** Publishes the steps of a file, whose size does not matter. */
export async function publishLines(
  deps: PublishLinesDeps,
  lines: AsyncIterable<StepLine>,
  options: PublishLinesOptions,
): Promise<PublishReport> {
  const { client, earlier } = deps
  const report: PublishReport = { published: 0, badLines: 0, failed: 0, ended: 0, second: 0, missing: [] }
  let lastNewsMs = performance.now()
  let wake: (() => void) | undefined
  const news = (): void => {
    lastNewsMs = performance.now()
    wake?.()
  }
  const publications =
    earlier &&
    createPublications({
      onEnd: (result) => {
        report.ended += 1
        options.onEnd(result)
        news()
      },
      onSecond: (result, first, second) => {
        report.second += 1
        options.onSecond(result, first, second)
      },
    })

  async function* good(): AsyncGenerator<AgentStep> {
    for await (const line of lines) {
      if ('step' in line && (publications?.add(line.step) ?? true)) {
        yield line.step
        continue
      }
      const problem =
        'problem' in line
          ? line.problem
          : { code: 'SHUNT_STEP_ID_CONFLICT' as const, message: 'a line before has the same tenantId and stepId' }
      report.badLines += 1
      options.onBadLine(line.number, problem)
    }
  }

  const stopListening = publications && client.onResult((result, place) => publications.offer(result, place))
  const stopEarlier = publications && earlier?.follow(publications)
  try {
    await client.publishAll(good(), {
      signal: options.signal,
      onPublished: (step, place) => {
        report.published += 1
        publications?.acknowledged(step, place)
        options.onPublished(step)
        news()
      },
      onFailed: (step, error) => {
        report.failed += 1
        publications?.failed(step)
        options.onFailed(step, error)
      },
    })
    if (!publications || !earlier) return report

    while (publications.pending() > 0) {
      const leftMs = lastNewsMs + options.idleTimeoutMs - performance.now()
      if (leftMs <= 0) break
      const { promise, resolve } = Promise.withResolvers<void>()
      const goOn = (): void => resolve()
      wake = goOn
      const timer = setTimeout(resolve, leftMs)
      options.signal.addEventListener('abort', goOn, { once: true })
      await promise
      clearTimeout(timer)
      options.signal.removeEventListener('abort', goOn)
      options.signal.throwIfAborted()
    }
    // What the run wrote is read once more, as far as it goes now: a second result would lie behind the first.
    await earlier.readSinceStart(publications)
    report.missing = [...publications.withoutResult()]
    return report
  } finally {
    stopListening?.()
    await stopEarlier?.()
  }
}
