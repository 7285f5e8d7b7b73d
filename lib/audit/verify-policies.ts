import { hash as hashOf } from 'node:crypto'
import type { DecisionRecord, PolicyRecord } from '#lib/events/types.generated'
import { findingOf, formatPlace, placeOf, type FoundPlace, type Report } from './findings.ts'

type Kind = 'policy' | 'scorer'

/** What a decision names, and what was found of it. */
interface Named {
  kind: Kind
  hash: string
  first: FoundPlace & { stepId: string; tenantId: string }
  decisions: number
  content: Content | null
}

/** The last record of each part counts, as it does after compaction. */
interface Content {
  parts: (Buffer | undefined)[]
  /** Of each part, once the whole was right: the bytes need not be kept to see that a part was rewritten. */
  rightParts: Buffer[] | null
  /** Parts that were rewritten since. */
  wrong: Set<number>
}

export interface PolicyCheck {
  /** Every decision, with its place. */
  take(decision: DecisionRecord, place: FoundPlace): void
  /** Every record of agent.policies, once all decisions were taken. */
  keep(record: PolicyRecord): void
  end(report: Report): void
  /** Policies and scorers that decisions name. */
  count(): number
}

/** Every policy and scorer that decided is in agent.policies, and its content has the hash that the decision names. */
export function createPolicyCheck(): PolicyCheck {
  const named = new Map<string, Named>()

  function note(kind: Kind, hash: Buffer, { stepId, facts }: DecisionRecord, place: FoundPlace): void {
    const hex = hash.toString('hex')
    const known = named.get(`${kind} ${hex}`)
    if (known) known.decisions += 1
    else {
      const first = { ...placeOf(place), stepId, tenantId: facts.tenantId }
      named.set(`${kind} ${hex}`, { kind, hash: hex, first, decisions: 1, content: null })
    }
  }

  return {
    take(decision, place) {
      note('policy', decision.policyHash, decision, place)
      if (decision.scorerHash !== null) note('scorer', decision.scorerHash, decision, place)
    },
    keep(record) {
      const found = named.get(`${record.type} ${record.hash}`)
      if (found) found.content = withPart(found.content, record)
    },
    end(report) {
      for (const { kind, hash, first, decisions, content } of named.values()) {
        if (content?.rightParts && content.wrong.size === 0) continue
        const rewritten = content !== null && content.parts.every((part) => part !== undefined)
        const by = `${decisions} ${decisions === 1 ? 'decision names' : 'decisions name'} it, the first at ${formatPlace(first)} of step ${first.stepId} of tenant ${first.tenantId}`
        const what = rewritten
          ? `${kind} ${hash} was rewritten: what agent.policies holds under it has another hash`
          : `${kind} ${hash} is ${content ? 'not whole' : 'missing'} in agent.policies`
        report(findingOf(`${kind}_${rewritten ? 'rewritten' : 'missing'}`, `${what}; ${by}`, first))
      }
    },
    count: () => named.size,
  }
}

const sha256 = (bytes: Buffer): Buffer => hashOf('sha256', bytes, 'buffer')

/** No scorer that was published has more parts (lib/policy/scorer-parts). */
const mostParts = 64

function withPart(before: Content | null, { hash, part, parts, content }: PolicyRecord): Content | null {
  if (parts < 1 || parts > mostParts || part < 0 || part >= parts) return before
  const known: Content =
    before?.parts.length === parts
      ? before
      : { parts: Array.from({ length: parts }), rightParts: null, wrong: new Set() }
  if (known.rightParts) {
    if (sha256(content).equals(known.rightParts[part]!)) known.wrong.delete(part)
    else known.wrong.add(part)
    return known
  }
  known.parts[part] = content
  const there = known.parts.filter((each) => each !== undefined)
  if (there.length < parts || sha256(Buffer.concat(there)).toString('hex') !== hash) return known
  known.rightParts = there.map(sha256)
  known.parts.fill(Buffer.alloc(0))
  return known
}
