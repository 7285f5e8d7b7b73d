import { ShuntError } from '#lib/errors'
import type { ExportRange } from './export-range.ts'
import type { Manifest } from './manifest.ts'

/**
 * The range that goes on where an export ended, partition by partition; `upTo` says where it ends. Throws
 * SHUNT_CONFIG_INVALID where the earlier one was made without an end: which results it holds is not known then.
 */
export function rangeAfter({ range }: Pick<Manifest, 'range'>, upTo: ExportRange): ExportRange {
  if (range.untilMs === null)
    throw new ShuntError(
      'SHUNT_CONFIG_INVALID',
      'the export to go on from was made without --until: give --until to each of a series',
    )
  const ended = new Map(range.offsets.map(({ partition, until }) => [partition, until ?? 0]))
  return {
    sinceMs: range.untilMs,
    untilMs: upTo.untilMs,
    offsets: new Map(
      [...upTo.offsets].map(([partition, { until }]) => [
        partition,
        // An end before its start holds nothing: the earlier export went further.
        { from: ended.get(partition) ?? 0, until: Math.max(until, ended.get(partition) ?? 0) },
      ]),
    ),
  }
}

type Chains = Pick<Manifest, 'chains' | 'idleChains'>

/** Chains of the earlier export and of those before it that the later one has nothing of. */
export function idleChains(earlier: Chains, later: Pick<Manifest, 'chains'>): Manifest['idleChains'] {
  const seen = new Set(later.chains.map(({ chainId }) => chainId))
  return [...earlier.chains, ...earlier.idleChains].flatMap(({ chainId, partition, last }) =>
    seen.has(chainId) ? [] : [{ chainId, partition, last }],
  )
}

/** Where the later of two exports does not go on as the earlier one ended; for a person. Pure. */
export function gapsBetween(earlier: Chains, later: Pick<Manifest, 'chains'>): string[] {
  const ends = new Map([...earlier.chains, ...earlier.idleChains].map(({ chainId, last }) => [chainId, last]))
  return later.chains.flatMap(({ chainId, first }) => {
    const last = ends.get(chainId)
    const isStart = first.seq === 1 && (last === undefined || first.epoch > last.epoch)
    const goesOn = last?.epoch === first.epoch && last.seq + 1 === first.seq && last.hash === first.prevHash
    if (isStart || goesOn) return []
    const found = `${chainId} begins with epoch ${first.epoch}, seq ${first.seq}`
    return [
      last === undefined
        ? `${found}; the earlier export has nothing of it`
        : `${found}, which does not follow epoch ${last.epoch}, seq ${last.seq}, hash ${last.hash}`,
    ]
  })
}
