import { formatOrigin } from '#lib/audit/records'
import type { DuplicateRecord, StepResult } from '#lib/events/types.generated'
import { endsPublication, stepKeyText, type RecordPlace, type StepKey } from './waits.ts'

interface Publication {
  /** Undefined until acknowledged. */
  place: RecordPlace | undefined
  /** For records of the step that were duplicates, the place of the one that won. */
  firsts: Map<string, string>
  /** Where the result lies that ended it, as text. */
  endedBy: string | undefined
  /** Results that came before the acknowledgement. */
  early: { result: StepResult; place: RecordPlace }[]
}

export interface PublicationsOptions {
  /** A publication's end: its one result. */
  onEnd: (result: StepResult) => void
  /** A further result of a step that has one: what must never be. */
  onSecond: (result: StepResult, first: string, second: string) => void
}

/**
 * The steps that one run published, and which of them have their result. Results may be offered more than once, in any
 * order and mixed with other runs': a result is known by where it lies. It is a publication's own if it names that very
 * record, or the one that won where that record is a duplicate; others of the same id are those of earlier steps, whose
 * dedupe window is over.
 */
export function createPublications({ onEnd, onSecond }: PublicationsOptions) {
  const publications = new Map<string, Publication>()
  /** Places of further results: each is told once. */
  const seconds = new Set<string>()
  let pending = 0

  function settle(publication: Publication, result: StepResult, place: RecordPlace): void {
    if (!isOf(result, publication)) return
    const at = formatOrigin(place)
    if (publication.endedBy === undefined) {
      publication.endedBy = at
      pending -= 1
      onEnd(result)
    } else if (publication.endedBy !== at && !seconds.has(at)) {
      seconds.add(at)
      onSecond(result, publication.endedBy, at)
    }
  }

  return {
    /** Before a step is sent. False where the run has one of this id: two records cannot both be the step. */
    add(key: StepKey): boolean {
      const name = stepKeyText(key)
      if (publications.has(name)) return false
      publications.set(name, { place: undefined, firsts: new Map(), endedBy: undefined, early: [] })
      pending += 1
      return true
    },

    acknowledged(key: StepKey, place: RecordPlace): void {
      const publication = publications.get(stepKeyText(key))
      if (!publication) return
      publication.place = place
      for (const { result, place } of publication.early) settle(publication, result, place)
      publication.early = []
    },

    /** The step never left: nothing is expected of it. */
    failed(key: StepKey): void {
      const publication = publications.get(stepKeyText(key))
      if (!publication || publication.endedBy !== undefined) return
      publications.delete(stepKeyText(key))
      pending -= 1
    },

    offer(result: StepResult, place: RecordPlace): void {
      const publication = publications.get(stepKeyText(result))
      if (!publication) return
      if (publication.place === undefined) publication.early.push({ result, place })
      else settle(publication, result, place)
    },

    /** True where a result that was offered before, or never, may now be one that the run waits for: offer it again. */
    duplicate(record: Pick<DuplicateRecord, 'tenantId' | 'stepId' | 'origin' | 'first'>): boolean {
      const publication = publications.get(stepKeyText(record))
      if (publication === undefined || publication.endedBy !== undefined) return false
      publication.firsts.set(formatOrigin(record.origin), record.first)
      return true
    },

    /** Steps without a result. */
    pending: (): number => pending,

    *withoutResult(): Generator<StepKey> {
      for (const [name, { endedBy }] of publications) {
        if (endedBy !== undefined) continue
        const [tenantId, stepId] = name.split('\0') as [string, string]
        yield { tenantId, stepId }
      }
    },
  }
}

function isOf(result: StepResult, { place, firsts }: Publication): boolean {
  // Some acknowledgements do not tell the place.
  if (place === undefined || place.offset < 0) return endsPublication(result, undefined)
  const own = formatOrigin(place)
  const of = formatOrigin(result.origin)
  return of === own || (result.status !== 'rejected' && of === firsts.get(own))
}

export type Publications = ReturnType<typeof createPublications>
