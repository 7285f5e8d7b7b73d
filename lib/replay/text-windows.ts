import type { DecisionRecord } from '#lib/events/types.generated'

/** Most of the texts that are held at a time: thirty steps of 100 kB, or two thousand of the usual ones. */
const mostTextBytes = 3 * 2 ** 20
/** What a record holds beside its request, about. */
const besideBytes = 256

/** Cuts decisions into runs whose texts may be held together, by the length that their facts tell. In their order. Pure. */
export function textWindows<T>(decisions: readonly T[], recordOf: (decision: T) => DecisionRecord): T[][] {
  const windows: T[][] = []
  let bytes = Infinity
  for (const decision of decisions) {
    const { requestBytes } = recordOf(decision).facts
    bytes += requestBytes + besideBytes
    if (bytes > mostTextBytes) {
      windows.push([])
      bytes = requestBytes + besideBytes
    }
    windows.at(-1)!.push(decision)
  }
  return windows
}
