import { setTimeout as sleep } from 'node:timers/promises'
import { inChainOrder, type CommittedHeads } from './chain-marks.ts'
import { formatPlace, type Report } from './findings.ts'
import type { ChainVerifier } from './verify-chains.ts'

export interface LaneWait {
  /** How long log and commits are waited for to agree. */
  waitMs: number
  nowMs: () => number
  signal?: AbortSignal | undefined
}

const betweenMs = 500

/**
 * A lane's offset and its links are committed together, and readers see either first: an open transaction of another lane
 * may hold the links back. What a lane has committed and nobody can read for so long is missing. `read` goes on where the
 * reading ended.
 */
export async function awaitLinks(
  chains: Pick<ChainVerifier, 'behindLanes'>,
  read: () => Promise<void>,
  { waitMs, nowMs, signal }: LaneWait,
): Promise<void> {
  for (const untilMs = nowMs() + waitMs; ;) {
    if (chains.behindLanes().length === 0 || nowMs() >= untilMs) return
    await sleep(betweenMs, undefined, { signal })
    await read()
  }
}

/** The other way round: a link that its lane has not committed for so long was written by somebody else. */
export async function awaitCommits(
  chains: Pick<ChainVerifier, 'heads'>,
  readCommitted: () => Promise<CommittedHeads>,
  { waitMs, nowMs, report, signal }: LaneWait & { report: Report },
): Promise<void> {
  const heads = chains.heads().filter(({ broken }) => !broken)
  for (const untilMs = nowMs() + waitMs; ;) {
    const committed = await readCommitted()
    const ahead = heads.flatMap((head) => {
      const lane = committed.get(head.chainId)
      return lane && inChainOrder(head, lane) > 0 ? [{ head, lane }] : []
    })
    if (ahead.length === 0) return
    if (nowMs() < untilMs) {
      await sleep(betweenMs, undefined, { signal })
      continue
    }
    for (const { head, lane } of ahead) {
      const { chainId, epoch, seq, place } = head
      const until = lane.epoch === 0 ? 'has written nothing' : `has committed epoch ${lane.epoch} seq ${lane.seq}`
      const message = `${chainId}: the chain ends with epoch ${epoch} seq ${seq} at ${formatPlace(place)}, and its lane ${until}: what comes after was written by somebody else`
      report({ code: 'link_uncommitted', message, chainId, epoch, seq, place })
    }
    return
  }
}
