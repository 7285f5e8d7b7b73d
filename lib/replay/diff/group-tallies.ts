import { isMoved, type Redecision } from './redecision.ts'

/** What the new policy does to the decisions of one tenant, kind or requested model. */
export interface GroupTally {
  name: string
  decisions: number
  /** To another tier, or to none. */
  movedTier: number
  /** To another model of the same tier. */
  movedModel: number
  toFrontier: number
  toOss: number
  costBeforeMicroUsd: number
  costAfterMicroUsd: number
}

export interface GroupTallies {
  add(name: string, redecision: Redecision): void
  /** Those whose cost or decisions move most, at most `count`; the rest is summed. */
  top(count: number): { groups: GroupTally[]; rest: GroupTally | null; restGroups: number }
}

/** Most names in memory. Tenants and models are named by others. */
const maxGroups = 4_096

export function createGroupTallies(): GroupTallies {
  const groups = new Map<string, GroupTally>()
  const rest = emptyTally('')
  let evicted = 0

  /** Half of them, those that move least: what moves much comes back often. */
  function makeRoom(): void {
    for (const tally of [...groups.values()].toSorted(byMovement).slice(maxGroups / 2)) {
      groups.delete(tally.name)
      addTally(rest, tally)
      evicted += 1
    }
  }

  return {
    add(name, { before, after }) {
      let tally = groups.get(name)
      if (!tally) {
        if (groups.size >= maxGroups) makeRoom()
        groups.set(name, (tally = emptyTally(name)))
      }
      tally.decisions += 1
      tally.costBeforeMicroUsd += before.cost.microUsd
      tally.costAfterMicroUsd += after?.cost.microUsd ?? 0
      if (!after || !isMoved(before, after)) return
      if (before.standing === after.standing) tally.movedModel += 1
      else tally.movedTier += 1
      if (before.standing === after.standing) return
      if (after.standing === 'frontier') tally.toFrontier += 1
      if (after.standing === 'oss') tally.toOss += 1
    },

    top(count) {
      const sorted = [...groups.values()].toSorted(byMovement)
      const others = { ...rest }
      for (const tally of sorted.slice(count)) addTally(others, tally)
      const restGroups = evicted + Math.max(0, sorted.length - count)
      return { groups: sorted.slice(0, count), rest: restGroups > 0 ? others : null, restGroups }
    },
  }
}

function emptyTally(name: string): GroupTally {
  return {
    name,
    decisions: 0,
    movedTier: 0,
    movedModel: 0,
    toFrontier: 0,
    toOss: 0,
    costBeforeMicroUsd: 0,
    costAfterMicroUsd: 0,
  }
}

function addTally(sum: GroupTally, { name: _name, ...counts }: GroupTally): void {
  for (const [key, count] of Object.entries(counts)) sum[key as keyof typeof counts] += count
}

function byMovement(a: GroupTally, b: GroupTally): number {
  return (
    Math.abs(b.costAfterMicroUsd - b.costBeforeMicroUsd) - Math.abs(a.costAfterMicroUsd - a.costBeforeMicroUsd) ||
    b.movedTier + b.movedModel - a.movedTier - a.movedModel ||
    b.decisions - a.decisions ||
    (a.name < b.name ? -1 : 1)
  )
}
