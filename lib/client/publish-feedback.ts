import type { ShuntError } from '#lib/errors'
import type { StepFeedback } from '#lib/events/types.generated'
import type { Client } from './create-client.ts'
import type { FeedbackInput } from './feedback-input.ts'
import type { ReadObject } from './read-objects.ts'

export interface PublishFeedbackOptions {
  signal: AbortSignal
  onBadLine: (number: number, problem: ShuntError) => void
  onPublished: () => void
  onFailed: (feedback: Pick<FeedbackInput, 'stepId'>, error: unknown) => void
}

export interface FeedbackReport {
  published: number
  badLines: number
  /** Not acknowledged by the broker. */
  failed: number
}

/** Publishes the verdicts of a file, whose size does not matter. */
export async function publishFeedback(
  client: Pick<Client, 'feedbackAll'>,
  lines: AsyncIterable<ReadObject<StepFeedback>>,
  options: PublishFeedbackOptions,
): Promise<FeedbackReport> {
  const report: FeedbackReport = { published: 0, badLines: 0, failed: 0 }

  async function* good(): AsyncGenerator<FeedbackInput> {
    for await (const line of lines)
      if ('problem' in line) {
        report.badLines += 1
        options.onBadLine(line.number, line.problem)
      } else yield { ...line.value, verdict: line.value.verdict === 'right' ? 'right' : 'wrong' }
  }

  await client.feedbackAll(good(), {
    signal: options.signal,
    onPublished: () => {
      report.published += 1
      options.onPublished()
    },
    onFailed: (feedback, error) => {
      report.failed += 1
      options.onFailed(feedback, error)
    },
  })
  return report
}
