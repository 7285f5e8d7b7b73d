import type { AuditRecord, LaneResetRecord } from '#lib/events/types.generated'
import { epochStart, linkHash, linkProblem } from './chain.ts'
import { inChainOrder, isBeyond, knownBy, sortMarks, type ChainMark, type LogEnds } from './chain-marks.ts'
import {
  findingOf,
  formatPlace,
  placeOf,
  type Finding,
  type FindingCode,
  type FoundPlace,
  type Report,
} from './findings.ts'
import type { AuditEntry, SourceRange } from './source.ts'
import { settleMs } from './verify-steps.ts'

/** The last link of a chain, as far as it was verified. */
export interface VerifiedHead {
  chainId: string
  epoch: number
  seq: number
  hash: Buffer
  place: FoundPlace
  /** A finding is of this chain. */
  broken: boolean
}

/** A chain whose beginning was not read. */
export interface GivenStart extends Omit<VerifiedHead, 'hash' | 'broken'> {}

export interface ChainCounts {
  chains: number
  links: number
  /** Marks whose link was read and is the one that they name. */
  compared: number
  /** Marks that name a link before the beginning, or behind the end, of what was read. */
  notCompared: number
}

export interface ChainVerifier {
  /** `reset`: the body of a lane_reset record; null for others. */
  take(entry: AuditEntry, reset: LaneResetRecord | null): void
  /** Tells what is missing at the ends. Once, after the last entry. */
  end(): void
  heads(): VerifiedHead[]
  givenStarts(): GivenStart[]
  counts(): ChainCounts
  /** Chains that have not come as far as their lane's commit says. */
  behindLanes(): { chainId: string; place: FoundPlace | null }[]
}

export interface ChainVerifierOptions {
  report: Report
  marks?: readonly ChainMark[]
  range?: SourceRange
  /** Where a copy of the log ends; a log that grows has none. */
  ends?: LogEnds | undefined
  /** Filled before the first entry, where it is known: see SourceReading. Else first offsets stand for it. */
  starts?: ReadonlyMap<string, number>
  /** Heads to go on from: what is read begins behind them. */
  from?: readonly VerifiedHead[]
}

interface Link extends Omit<VerifiedHead, 'broken'> {}

/** Links that were passed over when a later one came. */
interface Gap {
  from: number
  to: number
  before: FoundPlace | null
  after: FoundPlace
  /** Of these, so many came later. */
  late: number
}

interface Chain {
  head: Link | null
  /** Links that fit nowhere, where several in a row fit each other: the one before, and how many. */
  stray: (Link & { run: number }) | null
  gap: Gap | null
  given: GivenStart | null
  marks: readonly ChainMark[]
  nextMark: number
  partition: number
  elsewhere: Set<number>
  broken: boolean
  rewritten: boolean
  links: number
}

/** So many links that follow each other, and not the chain's head: the chain goes on with them. */
const strayRun = 3

/**
 * Follows every chain of the log with one head each, in the order of the partitions. A finding is told once, and what comes
 * after it is verified again: one changed byte gives one or two findings, not one for each later link.
 */
export function createChainVerifier(options: ChainVerifierOptions): ChainVerifier {
  const { range = {}, from = [], ends, starts = new Map() } = options
  const startsInside = range.sinceMs !== undefined || range.offsets !== undefined
  const marks = sortMarks(options.marks ?? [])
  const chains = new Map<string, Chain>()
  const firstOffsets = new Map<number, number>()
  const undecodable = new Map<number, FoundPlace>()
  let links = 0
  let compared = 0
  let notCompared = 0

  for (const { broken, ...head } of from)
    chains.set(head.chainId, { ...newChain(head.chainId, head.place), head, broken })

  function newChain(chainId: string, { partition }: FoundPlace): Chain {
    return {
      head: null,
      stray: null,
      gap: null,
      given: null,
      marks: marks.get(chainId) ?? [],
      nextMark: 0,
      partition,
      elsewhere: new Set(),
      broken: false,
      rewritten: false,
      links: 0,
    }
  }

  const startOf = (partition: number): number =>
    starts.get(`agent.audit/${partition}`) ?? firstOffsets.get(partition) ?? 0
  /** Where a reading goes on, the beginning was read before. */
  const isTrimmed = (partition: number): boolean => startsInside || (!range.resumeAt && startOf(partition) > 0)

  function tell(chain: Chain, code: FindingCode, link: FindingLink, sentence: string): void {
    chain.broken = true
    const { chainId, epoch, seq, place } = link
    options.report({ code, message: `${chainId}: ${sentence}`, chainId, epoch, seq, place })
  }

  function take(entry: AuditEntry, reset: LaneResetRecord | null): void {
    const place = placeOf(entry)
    // Of a range by time, where every clock is within it.
    if (!firstOffsets.has(place.partition) && place.timestampMs >= (range.sinceMs ?? -Infinity) + settleMs)
      firstOffsets.set(place.partition, place.offset)
    const { record } = entry
    const problem = record === null ? entry.problem : linkProblem(record)
    if (record === null || problem !== null) {
      undecodable.set(place.partition, place)
      const message = `the record at ${formatPlace(place)} cannot be decoded: ${problem}`
      return options.report(findingOf('record_undecodable', message, place))
    }
    links += 1
    let chain = chains.get(record.chainId)
    if (!chain) chains.set(record.chainId, (chain = newChain(record.chainId, place)))
    chain.links += 1
    const { chainId, epoch, seq } = record
    const link: Link = { chainId, epoch, seq, hash: linkHash(record), place }
    if (place.partition !== chain.partition) return tellElsewhere(chain, link)
    if (chain.head === null) return begin(chain, record, link)
    if (epoch === chain.head.epoch && seq > chain.head.seq) return follow(chain, chain.head, record, link)
    if (epoch > chain.head.epoch && seq === 1) return openEpoch(chain, chain.head, record, link, reset)
    stray(chain, chain.head, record, link)
  }

  function tellElsewhere(chain: Chain, link: Link): void {
    const { partition } = link.place
    if (chain.elsewhere.has(partition)) return
    chain.elsewhere.add(partition)
    tell(
      chain,
      'chain_in_two_partitions',
      link,
      `${named(link)} lies in another partition than the chain, which is in ${chain.partition}; links there are not verified`,
    )
  }

  function begin(chain: Chain, record: AuditRecord, link: Link): void {
    const { epoch, seq, place } = link
    if (epoch === 1 && seq === 1) tellUnlessZero(chain, record, link)
    else if (isTrimmed(place.partition)) chain.given = { chainId: link.chainId, epoch, seq, place }
    else if (epoch === 1) chain.gap = { from: 1, to: seq - 1, before: null, after: place, late: 0 }
    else tell(chain, 'link_missing', link, `the log begins with ${named(link)}: what came before is missing`)
    adopt(chain, link)
  }

  function tellUnlessZero(chain: Chain, record: AuditRecord, link: Link): void {
    if (!record.prevHash.equals(epochStart(link.epoch).hash))
      tell(chain, 'link_changed', link, `${named(link)} was changed: the first link of an epoch names 32 zero bytes`)
  }

  function follow(chain: Chain, head: Link, record: AuditRecord, link: Link): void {
    if (link.seq > head.seq + 1) {
      closeGap(chain)
      chain.gap = { from: head.seq + 1, to: link.seq - 1, before: head.place, after: link.place, late: 0 }
    } else if (!record.prevHash.equals(head.hash))
      tell(
        chain,
        'link_changed',
        link,
        `${named(head)} was changed, or ${named(link)} was: the later one does not name the hash of the one before`,
      )
    adopt(chain, link)
  }

  function openEpoch(chain: Chain, head: Link, record: AuditRecord, link: Link, reset: LaneResetRecord | null): void {
    const unexplained = (why: string): void =>
      tell(chain, 'epoch_unexplained', link, `${named(link)} opens an epoch after ${named(head)}, ${why}`)
    tellUnlessZero(chain, record, link)
    if (record.type !== 'lane_reset') unexplained('and is no lane_reset record')
    else if (reset === null) unexplained('and its lane_reset record cannot be read')
    else if (reset.lastEpoch === null || reset.lastSeq === null || reset.lastHash === null)
      unexplained('and says that there was no link before')
    else if (reset.lastEpoch !== head.epoch || reset.lastSeq !== head.seq)
      unexplained(
        `and names epoch ${reset.lastEpoch} seq ${reset.lastSeq} as the last link: the links between are missing or were added`,
      )
    else if (!reset.lastHash.equals(head.hash)) unexplained('and names another hash of it: that link was changed')
    else if (link.epoch !== head.epoch + 1) unexplained('which skips an epoch')
    adopt(chain, link)
  }

  /** A link that does not come after the head. The head stays, until several such links follow each other. */
  function stray(chain: Chain, head: Link, record: AuditRecord, link: Link): void {
    const { gap, stray: before } = chain
    const inGap = gap !== null && link.epoch === head.epoch && link.seq >= gap.from && link.seq <= gap.to
    if (inGap) gap.late += 1
    const follows = before?.epoch === link.epoch && before.seq + 1 === link.seq && record.prevHash.equals(before.hash)
    chain.stray = { ...link, run: follows ? before.run + 1 : 1 }
    if (!follows) {
      if (inGap)
        tell(
          chain,
          'links_swapped',
          link,
          `${named(link)} comes after seq ${gap.to + 1} at ${formatPlace(gap.after)}: links were swapped`,
        )
      else if (link.epoch > head.epoch)
        tell(
          chain,
          'epoch_unexplained',
          link,
          `${named(link)} comes after ${named(head)}: the beginning of its epoch is missing`,
        )
      else tell(chain, 'link_repeated', link, `${named(link)} comes again or too late: the chain was at ${named(head)}`)
    }
    if (chain.stray.run < strayRun) return
    chain.gap = null
    adopt(chain, link)
  }

  function adopt(chain: Chain, link: Link): void {
    const before = chain.head
    chain.head = link
    chain.stray = null
    for (; chain.nextMark < chain.marks.length; chain.nextMark += 1) {
      const mark = chain.marks[chain.nextMark]!
      const order = inChainOrder(mark, link)
      if (order > 0) return
      if (order === 0) compare(chain, link, mark)
      else if (before === null) beforeGiven(chain, link, mark)
      else if (mark.epoch < link.epoch && inChainOrder(mark, before) > 0) tellTruncated(chain, before, mark)
    }
  }

  /** Retention takes the beginning of a partition, not that of a chain: a link behind it was removed by somebody. */
  function beforeGiven(chain: Chain, link: Link, mark: ChainMark): void {
    if (!chain.given) return
    if (mark.place === null || !wasRead(mark)) {
      notCompared += 1
      return
    }
    if (chain.broken) return
    const { epoch, seq, place } = mark
    tell(
      chain,
      'link_missing',
      { ...mark, place: link.place },
      `the log has ${named(link)} and what follows, and ${knownBy(mark)} epoch ${epoch} seq ${seq} at ${formatPlace(place)}, behind the log's beginning: the links before are missing`,
    )
  }

  function compare(chain: Chain, link: Link, mark: ChainMark): void {
    if (link.hash.equals(mark.hash)) {
      compared += 1
      return
    }
    if (chain.rewritten) return
    chain.rewritten = true
    if (mark.by === 'anchor')
      tell(
        chain,
        'history_rewritten',
        link,
        `${named(link)} has another hash than the one anchored at ${new Date(mark.atMs).toISOString()}: it was changed, or the history up to it was written anew`,
      )
    else
      tell(
        chain,
        'last_link_changed',
        link,
        `${named(link)} has another hash than the lane committed with its offset: it was changed, or the history up to it was written anew`,
      )
  }

  function tellTruncated(chain: Chain, last: Link, mark: ChainMark): void {
    tell(
      chain,
      'tail_truncated',
      { ...mark, place: last.place },
      `the chain ends with ${named(last)}, and ${knownBy(mark)} epoch ${mark.epoch} seq ${mark.seq}: the links after are missing`,
    )
  }

  function closeGap(chain: Chain): void {
    const { gap, head } = chain
    chain.gap = null
    if (!gap || gap.late > gap.to - gap.from || isAtBound(gap)) return
    const { from: first, to: last, before, after } = gap
    const bad = undecodable.get(after.partition)
    const between = bad && bad.offset < after.offset && bad.offset > (before?.offset ?? -1)
    const what = first === last ? `seq ${first} is missing` : `seq ${first} to ${last} are missing`
    tell(
      chain,
      'link_missing',
      { chainId: head!.chainId, epoch: head!.epoch, seq: first, place: after },
      `${what}, ${before ? `between ${formatPlace(before)} and ${formatPlace(after)}` : `before ${formatPlace(after)}, where the log begins`}` +
        (between ? `; the record at ${formatPlace(bad)}, which cannot be decoded, lies there` : ''),
    )
  }

  /**
   * A lane moves between hosts whose clocks differ, so that times of a chain may run backwards: next to a bound of time,
   * what is missing lies on the other side of it.
   */
  function isAtBound({ before, after }: Gap): boolean {
    const { sinceMs = -Infinity, untilMs = Infinity } = range
    return (before !== null && before.timestampMs < sinceMs + settleMs) || after.timestampMs >= untilMs - settleMs
  }

  function end(): void {
    for (const chain of chains.values()) {
      closeGap(chain)
      const left = chain.marks.slice(chain.nextMark)
      const demanded = left.filter((mark) => !isBeyond(mark, range, ends))
      notCompared += left.length - demanded.length
      const last = demanded.at(-1)
      if (last) tellTruncated(chain, chain.head!, last)
    }
    for (const [chainId, ofChain] of marks) if (!chains.has(chainId)) endUnseen(chainId, ofChain)
  }

  function endUnseen(chainId: string, ofChain: readonly ChainMark[]): void {
    const demanded = ofChain.filter((mark) => !isBeyond(mark, range, ends) && wasRead(mark))
    notCompared += ofChain.length - demanded.length
    const last = demanded.at(-1)
    if (!last) return
    const { epoch, seq } = last
    const message = `${chainId}: the chain is missing, and ${knownBy(last)} its epoch ${epoch} seq ${seq}`
    options.report({ code: 'chain_missing', message, chainId, epoch, seq, place: null })
  }

  /** The marked link lies where was read. */
  function wasRead({ place }: ChainMark): boolean {
    if (place === null)
      return (
        !startsInside &&
        [...starts.values(), ...Array.from(firstOffsets.keys(), startOf)].every((offset) => offset === 0)
      )
    const { partition, offset } = place
    const start = startsInside ? firstOffsets.get(partition) : isTrimmed(partition) ? startOf(partition) : 0
    return start !== undefined && offset >= start
  }

  return {
    take,
    end,
    heads: () => [...chains.values()].flatMap(({ head, broken }) => (head ? [{ ...head, broken }] : [])),
    givenStarts: () => [...chains.values()].flatMap(({ given }) => given ?? []),
    counts: () => ({
      chains: [...chains.values()].filter((chain) => chain.links > 0).length,
      links,
      compared,
      notCompared,
    }),
    behindLanes: () =>
      [...marks].flatMap(([chainId, ofChain]) => {
        const chain = chains.get(chainId)
        const left = ofChain.slice(chain?.nextMark ?? 0)
        const open = left.some((mark) => mark.by === 'lane' && (chain !== undefined || wasRead(mark)))
        return open ? [{ chainId, place: chain?.head?.place ?? null }] : []
      }),
  }
}

type FindingLink = Pick<Finding, 'place'> & Pick<Link, 'chainId' | 'epoch' | 'seq'>

function named({ epoch, seq, place }: Omit<Link, 'hash'>): string {
  return `epoch ${epoch} seq ${seq} at ${formatPlace(place)}`
}
