import { formatOrigin } from '#lib/audit/records'
import type { Codec } from '#lib/events/codec'
import type { AuditRecord, RoutedStep } from '#lib/events/types.generated'
import { deadLetterHeaders } from './dead-letter.ts'
import type { Progress } from './offset-tracker.ts'
import type { InboundRecord } from './types.ts'

/** What the audit and the dead letters tell of a lane's records. */
export interface LaneEvidence {
  /** The chain's last link; null where the lane never wrote one. */
  last: AuditRecord | null
  /** Offsets of the lane's partition that are done. */
  offsets: Set<number>
  /** Routed steps that are done, by the step's own record and the attempt that routed them. */
  attempts: Set<string>
  /** Own records of the steps that have ended here. */
  ended: Set<string>
}

export function noEvidence(): LaneEvidence {
  return { last: null, offsets: new Set(), attempts: new Set(), ended: new Set() }
}

type Place = Parameters<typeof formatOrigin>[0]
const attemptName = (origin: Place, attempt: number) => `${formatOrigin(origin)} ${attempt}`

/**
 * Takes up one link of the lane's chain. A link stands for a record that was handled, since both were committed together:
 * by the step's own record, its origin, where the lane reads steps as they were published; by origin and attempt where it
 * reads routed steps, whose own offsets no record names; by its offset where it reads orders. Never by stepId: the audit is older than any dedupe window, and
 * knows other steps by the same id.
 */
export async function noteLink(
  evidence: LaneEvidence,
  lane: { topic: string; partition: number },
  link: AuditRecord,
  codec: Pick<Codec, 'decode'>,
): Promise<void> {
  const { last } = evidence
  if (!last || link.epoch > last.epoch || (link.epoch === last.epoch && link.seq > last.seq)) evidence.last = link
  const noteOrigin = (origin: Place | null) => {
    if (origin?.topic === lane.topic && origin.partition === lane.partition) evidence.offsets.add(origin.offset)
  }
  switch (link.type) {
    case 'decision': {
      const { origin, attempt } = await codec.decode('decision-record', link.body)
      noteOrigin(origin)
      // It answers the re-route of the attempt before.
      evidence.attempts.add(attemptName(origin, attempt - 1))
      return
    }
    case 'attempt': {
      const { origin, attempt } = await codec.decode('attempt-record', link.body)
      if (origin) evidence.attempts.add(attemptName(origin, attempt.attempt))
      return
    }
    case 'outcome': {
      const { origin } = await codec.decode('outcome-record', link.body)
      noteOrigin(origin)
      if (origin) evidence.ended.add(formatOrigin(origin))
      return
    }
    case 'duplicate':
      noteOrigin((await codec.decode('duplicate-record', link.body)).origin)
      return
    // Only lanes of agent.control write these.
    case 'operator':
      evidence.offsets.add((await codec.decode('operator-record', link.body)).offset)
      return
    case 'policy_activated':
      evidence.offsets.add((await codec.decode('policy-activated-record', link.body)).offset)
      return
    case 'lane_reset':
    case 'unknown':
  }
}

/** Takes up a dead letter, where it is one of the lane's records. */
export function noteDeadLetter(
  evidence: LaneEvidence,
  lane: { topic: string; partition: number },
  letter: InboundRecord,
): void {
  const header = (name: string) => String(letter.headers[name])
  if (header(deadLetterHeaders.topic) !== lane.topic) return
  if (header(deadLetterHeaders.partition) !== String(lane.partition)) return
  evidence.offsets.add(Number(header(deadLetterHeaders.offset)))
}

/** `routed` where the lane reads routed steps and the record is one. */
export function isDone(evidence: LaneEvidence, offset: number, routed: RoutedStep | null): boolean {
  if (evidence.offsets.has(offset)) return true
  if (!routed) return false
  const { origin, decision } = routed
  return evidence.attempts.has(attemptName(origin, decision.attempt)) || evidence.ended.has(formatOrigin(origin))
}

/**
 * The progress that says exactly this: the records of `undone` are not done, and those others are that lie at or below
 * `highestDone`, -1 for none.
 */
export function progressOf(undone: readonly number[], highestDone: number): Progress {
  const low = undone[0] ?? highestDone + 1
  const upTo = Math.max(low, highestDone + 1)
  return { low, upTo, incomplete: undone.filter((offset) => offset > low && offset < upTo) }
}
