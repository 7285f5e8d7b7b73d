import type { StepOrigin } from '#lib/events/types.generated'

/** Where texts lie that are to be scored anew. */
export interface TextSpan {
  topic: string
  partition: number
  from: number
  /** Exclusive. */
  until: number
}

export interface TextSpans {
  add(origin: Pick<StepOrigin, 'topic' | 'partition' | 'offset'>): void
  all(): TextSpan[]
}

/** The least span of each partition that holds all that was added. */
export function createTextSpans(): TextSpans {
  const spans = new Map<string, TextSpan>()
  return {
    add({ topic, partition, offset }) {
      const key = `${topic}/${partition}`
      const span = spans.get(key)
      if (!span) spans.set(key, { topic, partition, from: offset, until: offset + 1 })
      else {
        span.from = Math.min(span.from, offset)
        span.until = Math.max(span.until, offset + 1)
      }
    },
    all: () => [...spans.values()],
  }
}
