import type { StepOrigin } from '#lib/events/types.generated'

type Place = Pick<StepOrigin, 'topic' | 'partition' | 'offset'>

/**
 * Which records of the replay have come to their end. A bit each: a result, a dead letter and a duplicate's audit record
 * may tell of the same one, and each of them may be read again.
 */
export function createEnds() {
  const bits = new Map<string, Uint8Array>()
  let count = 0

  return {
    count: () => count,
    /** False where it was known. */
    add({ topic, partition, offset }: Place): boolean {
      const name = `${topic}/${partition}`
      const at = offset >> 3
      let known = bits.get(name) ?? new Uint8Array(1_024)
      if (at >= known.length) {
        const larger = new Uint8Array(2 * (at + 1))
        larger.set(known)
        known = larger
      }
      bits.set(name, known)
      const bit = 1 << (offset & 7)
      if ((known[at]! & bit) !== 0) return false
      known[at]! |= bit
      count += 1
      return true
    },
  }
}
