import type { StepResult } from '#lib/events/types.generated'
import { endsPublication, stepKeyText, type RecordPlace, type StepKey } from './waits.ts'

interface Publication {
  /** Undefined until acknowledged. */
  place: RecordPlace | undefined
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
 * order and mixed with other runs': a result is known by where it lies.
 */
export function createPublications({ onEnd, onSecond }: PublicationsOptions) {
  const publications = new Map<string, Publication>()
  /** Places of further results: each is told once. */
  const seconds = new Set<string>()
  let pending = 0

  function settle(publication: Publication, result: StepResult, place: RecordPlace): void {
    if (!endsPublication(result, publication.place)) return
    const at = `${place.topic}/${place.partition}/${place.offset}`
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
      publications.set(name, { place: undefined, endedBy: undefined, early: [] })
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

    /** Published by this run, and without a result. */
    isPending(key: StepKey): boolean {
      const publication = publications.get(stepKeyText(key))
      return publication !== undefined && publication.endedBy === undefined
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
export type Publications = ReturnType<typeof createPublications>
