import { ShuntError } from '#lib/errors'
import type { Part } from './part.ts'

/** Tells when a part ends that nobody told to. */
export interface PartWatch {
  watch(part: Part): void
  /** Aborts then, with a SHUNT_SETUP_FAILED that names its log. */
  failed: AbortSignal
  /** From now on parts end because they are told to. */
  expectEnds(): void
}

export function createPartWatch(): PartWatch {
  const failed = new AbortController()
  let ending = false
  const tell = async (part: Part) => {
    const how = await part.ended
    const message = `${part.id} ended by itself (${how}); its log: ${part.logFile}`
    if (!ending) failed.abort(new ShuntError('SHUNT_SETUP_FAILED', message))
  }
  return {
    failed: failed.signal,
    watch(part) {
      void tell(part)
    },
    expectEnds() {
      ending = true
    },
  }
}
