import { expect, test } from 'vitest'
import { readReplayOrder, replayOrderName, type ReplayOrder } from '#lib/replay/publish/replay-order'

const order: ReplayOrder = {
  id: 'x',
  source: 'live',
  span: {
    from: { 'agent.steps': { 0: 1, 3: 4 } },
    until: { 'agent.steps': { 0: 9, 3: 4 } },
    offsets: 8,
    sinceMs: 5,
    untilMs: null,
  },
  filter: { tenantIds: ['acme'], tiers: ['oss', 'none'], auditOffsets: [{ partition: 1, from: 5 }] },
  frontier: 'recorded',
  pinnedHash: 'abc',
  providerKeys: ['P_KEY'],
}
const given = { name: replayOrderName, orderId: 'o', actor: 'a', reason: 'r', atMs: 1 }

test('a replay that is resumed reads what it began as', () => {
  expect(readReplayOrder({ ...given, value: JSON.stringify(order) }, 'replay-x')).toEqual(order)
})

test.each([undefined, { ...given, value: '{' }, { ...given, value: '{"id":"x"}' }])(
  'one that does not say what it replays is refused, with the way out',
  (found) => expect(() => readReplayOrder(found, 'replay-x')).toThrow(/replay-x does not say.*shunt replay remove/),
)
