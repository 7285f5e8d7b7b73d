import { setTimeout as sleep } from 'node:timers/promises'
import { listResultsTopics } from '#lib/client/results-topics'
import { readRange, type ReadDeps } from '#lib/client/topic-range'
import { isRetryable, type ErrorCode } from '#lib/errors'
import type { Codec } from '#lib/events/codec'
import { isResultsTopic } from '#lib/events/results-topic'
import { inNamespace, outOfNamespace } from '#lib/events/topics'
import type { StepOrigin, StepResult } from '#lib/events/types.generated'
import type { RecordedAnswers } from '#lib/ledger/recorded-answers'
import type { Verdict } from '#lib/models/verdicts'
import { replayHeaders } from '#lib/stream/carried-headers'
import { deadLetterHeaders } from '#lib/stream/dead-letter'
import { createTail } from '#lib/stream/tail'
import type { InboundRecord } from '#lib/stream/types'
import { createEnds } from './ends.ts'
import { sourceTopics } from './range.ts'
import type { RecordedRun } from './recorded-run.ts'
import { createSummary, type ReplaySummary } from './summary.ts'

type Deps = ReadDeps & { codec: Codec }
type Place = Pick<StepOrigin, 'topic' | 'partition' | 'offset'>

/** What a record in the replay tells of a copied one. */
type News =
  | { kind: 'result'; place: Place; result: StepResult }
  | { kind: 'dead_letter' | 'duplicate'; place: Place }
  /** The first decision on it. */
  | { kind: 'decided' }

/** Null for a record that tells nothing. Throws as the codec does. */
async function readNews(codec: Codec, record: InboundRecord, namespace: string): Promise<News | null> {
  if (isResultsTopic(namespace, record.topic)) {
    const result = await codec.decode('step-result', record.value)
    return { kind: 'result', place: result.origin, result }
  }
  if (outOfNamespace(namespace, record.topic) === 'agent.deadletter') {
    const place = letterPlace(record)
    // What is lost further on ends by its result.
    return sourceTopics.some((topic) => place.topic === inNamespace(namespace, topic))
      ? { kind: 'dead_letter', place }
      : null
  }
  const { type, body } = await codec.decode('audit-record', record.value)
  if (type === 'duplicate') return { kind: 'duplicate', place: (await codec.decode('duplicate-record', body)).origin }
  if (type !== 'decision') return null
  return (await codec.decode('decision-record', body)).attempt === 1 ? { kind: 'decided' } : null
}

function letterPlace({ headers }: InboundRecord): Place {
  const text = (name: string) => headers[name]?.toString() ?? ''
  const { topic, partition, offset } = deadLetterHeaders
  return { topic: text(topic), partition: Number(text(partition)), offset: Number(text(offset)) }
}

async function newsTopics(deps: Deps, namespace: string): Promise<string[]> {
  const others = (['agent.deadletter', 'agent.audit'] as const).map((topic) => inNamespace(namespace, topic))
  return [...(await listResultsTopics(deps, namespace)), ...others]
}

/** Not so for a record that came with another's stepId: that step may still ask for its answer. */
export function endsItsStep({ code }: Pick<StepResult, 'code'>): boolean {
  return code !== ('SHUNT_STEP_ID_CONFLICT' satisfies ErrorCode)
}

export interface ReplayProgress extends AsyncDisposable {
  decided(): number
  /** Copies that have their result, or whatever else ends them. */
  ended(): number
}

const registryPauseMs = 1_000

/** Follows the replay from its beginning; a recorded answer goes when its step has its result. */
export async function followReplay(
  deps: Deps & { answers: Pick<RecordedAnswers, 'drop'> },
  { namespace, signal }: { namespace: string; signal: AbortSignal },
): Promise<ReplayProgress> {
  const ends = createEnds()
  let decided = 0

  async function take(record: InboundRecord): Promise<void> {
    const news = await readNews(deps.codec, record, namespace)
    if (news?.kind === 'decided') decided += 1
    else if (news && ends.add(news.place) && news.kind === 'result' && endsItsStep(news.result))
      await deps.answers.drop([news.result])
  }

  const tail = createTail(deps, {
    topics: await newsTopics(deps, namespace),
    from: 'beginning',
    groupPrefix: 'shunt-replay',
    // A registry or Redis that is away must not cost an end: the replay would never be over.
    async onRecord(record) {
      for (;;)
        try {
          return await take(record)
        } catch (error) {
          if (!isRetryable(error) || signal.aborted) throw error
          await sleep(registryPauseMs, undefined, { signal })
        }
    },
  })
  return {
    decided: () => decided,
    ended: () => ends.count(),
    [Symbol.asyncDispose]: () => tail.stop(),
  }
}

/**
 * What the replay has come to, read from its topics alone, so that one that was resumed is told of whole. `run` holds the
 * recorded results.
 */
export async function summarizeReplay(
  deps: Deps,
  run: Pick<RecordedRun, 'result'>,
  { namespace, copied, signal }: { namespace: string; copied: number; signal: AbortSignal },
): Promise<ReplaySummary> {
  const [all, withResult, duplicates] = [createEnds(), createEnds(), createEnds()]
  const { summary, add } = createSummary()
  await readRange(deps, {
    topics: await newsTopics(deps, namespace),
    from: 'beginning',
    signal,
    async onRecord(record) {
      const news = await readNews(deps.codec, record, namespace)
      if (!news || news.kind === 'decided') return
      all.add(news.place)
      if (news.kind === 'duplicate') duplicates.add(news.place)
      if (news.kind !== 'result' || !withResult.add(news.place)) return
      const { status, tier, model, costMicroUsd, attempts } = news.result
      const notRecorded = attempts.filter(({ verdict }) => verdict === ('no_recorded_answer' satisfies Verdict)).length
      const source = record.headers[replayHeaders.source]?.toString() ?? ''
      add({ status, tier, model, costMicroUsd, notRecorded }, run.result(source))
    },
  })
  summary.copied = copied
  summary.duplicates = duplicates.count()
  summary.deadLetters = all.count() - withResult.count() - summary.duplicates
  return summary
}
