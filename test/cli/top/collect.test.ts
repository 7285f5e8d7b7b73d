import { expect, test } from 'vitest'
import type { ListedLane } from '#lib/client/list-lanes'
import { parsePrometheusText } from '#lib/telemetry/prometheus-text'
import { createTally, placesOf, processOf, stagesOf } from '../../../cli/top/collect.ts'

const completed = { tier: 'oss' as const, status: 'completed' as const, tenantId: 'acme', costMicroUsd: 0 }
const paid = { tier: 'frontier' as const, status: 'completed' as const, tenantId: 'globex', costMicroUsd: 7_000 }

test('a rate is that of the last five seconds, and of less at the start', () => {
  const tally = createTally(0)
  for (let i = 0; i < 10; i++) tally.note(completed)
  expect(tally.frame(1_000).rates).toEqual([{ tier: 'oss', status: 'completed', perSecond: 10, total: 10 }])
  for (let second = 2; second <= 5; second++) {
    tally.note(completed)
    tally.frame(second * 1_000)
  }
  expect(tally.frame(6_000).rates).toMatchObject([{ perSecond: 0.8, total: 14 }])
  expect(tally.frame(60_000).rates).toMatchObject([{ perSecond: 0, total: 14 }])
})

test('steps without a model are told, and tenants come by what they spent', () => {
  const tally = createTally(0)
  tally.note({ ...completed, tier: null, status: 'expired' })
  tally.note(completed)
  tally.note(paid)
  tally.note(paid)
  const { rates, spend } = tally.frame(1_000)
  expect(rates.map(({ tier, status, total }) => [tier, status, total])).toEqual([
    ['frontier', 'completed', 2],
    ['none', 'expired', 1],
    ['oss', 'completed', 1],
  ])
  expect(spend).toEqual([
    { tenantId: 'globex', results: 2, costMicroUsd: 14_000 },
    { tenantId: 'acme', results: 2, costMicroUsd: 0 },
  ])
})

test('lanes add up by stage', () => {
  const lane = { topic: 't', committed: 1, epoch: null, seq: null }
  const lanes: ListedLane[] = [
    { ...lane, group: 'classifier', partition: 0, state: 'ok', lag: 3, incomplete: 1 },
    { ...lane, group: 'classifier', partition: 1, state: 'no offset', committed: null, lag: null, incomplete: null },
    { ...lane, group: 'frontier', partition: 0, state: 'ok', lag: 5, incomplete: 0 },
  ]
  expect(stagesOf(lanes)).toEqual([
    { group: 'classifier', lag: 3, incomplete: 1, broken: 1 },
    { group: 'frontier', lag: 5, incomplete: 0, broken: 0 },
  ])
})

test('backends add up over replicas, the worst state counts; a queue that all share is counted once', () => {
  const samples = parsePrometheusText(
    [
      'shunt_records_in_flight 4',
      'shunt_buffered_bytes 2000000',
      'shunt_backend_in_flight{backend="b",model="open"} 2',
      'shunt_backend_usable{backend="b",model="open"} 1',
      'shunt_backend_in_flight{backend="b",model="open"} 3',
      'shunt_backend_usable{backend="b",model="open"} 0.5',
      'shunt_provider_queued{provider="p",model="big"} 7',
      'shunt_provider_usable{provider="p",model="big"} 1',
      'shunt_provider_queued{provider="p",model="big"} 6',
      'shunt_provider_usable{provider="p",model="big"} 0',
    ].join('\n'),
  )
  expect(placesOf(samples)).toEqual([
    { id: 'b', model: 'open', usable: 0.5, load: 5 },
    { id: 'p', model: 'big', usable: 0, load: 7 },
  ])
  const at = { id: 'frontier', url: 'http://f' }
  expect(processOf(at, samples)).toEqual({ ...at, inFlight: 4, bufferedBytes: 2_000_000, problem: null })
})
