import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { assignPartitions, type GroupReplica, type TopicPartition } from '#lib/stream/assigner'

const topics = ['agent.steps', 'agent.steps.batch']

function replicas(names: readonly string[]): GroupReplica[] {
  return names.map((replica) => ({ memberId: `member of ${replica}`, replica, topics }))
}

function partitionsOf(count: number): TopicPartition[] {
  return topics.flatMap((topic) => Array.from({ length: count }, (_, partition) => ({ topic, partition })))
}

/** Owner by topic and partition. */
function owners(names: readonly string[], count: number): Map<string, string> {
  const assigned = assignPartitions(replicas(names), partitionsOf(count))
  return new Map(
    [...assigned].flatMap(([memberId, held]) => held.map((at) => [`${at.topic}/${at.partition}`, memberId] as const)),
  )
}

const anyNames = fc.uniqueArray(fc.stringMatching(/^[a-z0-9-]{1,12}$/), { minLength: 1, maxLength: 9 })
const anyCount = fc.integer({ min: 1, max: 24 })

describe('assigner', () => {
  test('gives each partition to one replica, and to each no more of a topic than its even share', () => {
    fc.assert(
      fc.property(anyNames, anyCount, (names, count) => {
        const assigned = assignPartitions(replicas(names), partitionsOf(count))
        const all = [...assigned.values()].flat().map((at) => `${at.topic}/${at.partition}`)
        expect(new Set(all).size).toBe(count * topics.length)
        expect(all).toHaveLength(count * topics.length)
        for (const held of assigned.values())
          for (const topic of topics)
            expect(held.filter((at) => at.topic === topic).length).toBeLessThanOrEqual(Math.ceil(count / names.length))
      }),
    )
  })

  test('does not depend on the order of members or on their member ids', () => {
    fc.assert(
      fc.property(anyNames, anyCount, (names, count) => {
        const again = assignPartitions(
          replicas(names.toReversed()).map((member) => ({ ...member, memberId: `${member.memberId} after a restart` })),
          partitionsOf(count).toReversed(),
        )
        const before = owners(names, count)
        for (const [memberId, held] of again)
          for (const at of held) expect(`${before.get(`${at.topic}/${at.partition}`)} after a restart`).toBe(memberId)
      }),
    )
  })

  test('a replica that leaves and comes back gets its partitions back', () => {
    const names = ['a', 'b', 'c', 'd']
    const before = owners(names, 12)
    owners(['a', 'b', 'd'], 12)
    expect(owners(names, 12)).toEqual(before)
  })

  test('a replica that leaves moves few partitions besides its own', () => {
    const names = ['classifier-0', 'classifier-1', 'classifier-2', 'classifier-3']
    const before = owners(names, 24)
    let moved = 0
    let orphaned = 0
    for (const leaving of names) {
      const after = owners(
        names.filter((name) => name !== leaving),
        24,
      )
      for (const [at, owner] of before) {
        if (owner === `member of ${leaving}`) orphaned += 1
        else if (after.get(at) !== owner) moved += 1
      }
    }
    expect(orphaned).toBe(48)
    expect(moved).toBeLessThan(orphaned / 2)
  })

  test('two members of one name share like two replicas', () => {
    const members = [
      { memberId: 'old', replica: 'a', topics },
      { memberId: 'new', replica: 'a', topics },
    ]
    const assigned = assignPartitions(members, partitionsOf(4))
    expect([...assigned.values()].map((held) => held.length)).toEqual([4, 4])
  })

  test('gives a topic only to members that read it', () => {
    const members = [
      { memberId: 'old release', replica: 'a', topics: ['agent.steps'] },
      { memberId: 'new release', replica: 'b', topics },
    ]
    const assigned = assignPartitions(members, partitionsOf(3))
    expect(assigned.get('old release')?.every((at) => at.topic === 'agent.steps')).toBe(true)
    expect([...assigned.values()].flat()).toHaveLength(6)
  })
})
