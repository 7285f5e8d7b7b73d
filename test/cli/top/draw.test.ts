import { expect, test } from 'vitest'
import { readOrder } from '#lib/control/orders'
import type { Frame } from '../../../cli/top/collect.ts'
import { coloured, drawFrame, plain } from '../../../cli/top/draw.ts'
import { makeOrder } from '../../lib/control/make-order.ts'

const atMs = Date.UTC(2026, 10, 25, 9, 20)
const empty: Frame = {
  atMs,
  sinceMs: atMs - 90_000,
  rates: [],
  spend: [],
  stages: [],
  processes: [],
  places: [],
  poolWaiting: 0,
  orders: [],
  problem: null,
}

test('a frame without anything in it is its title', () => {
  expect(drawFrame(empty, plain)).toEqual(['shunt top  2026-11-25 09:20:00.000 UTC  results of the last 1 min 30 s'])
})

const full: Frame = {
  ...empty,
  rates: [{ tier: 'oss', status: 'completed', perSecond: 12.34, total: 240 }],
  spend: [{ tenantId: 'acme', results: 240, costMicroUsd: 1_200 }],
  stages: [{ group: 'classifier', lag: 12, incomplete: 3, broken: 1 }],
  processes: [
    { id: 'classifier', url: 'u', inFlight: 4, bufferedBytes: 2_100_000, problem: null },
    { id: 'http://x', url: 'http://x', inFlight: 0, bufferedBytes: 0, problem: 'fetch failed' },
  ],
  places: [
    { id: 'embedded', model: 'gemma', usable: 1, load: 2 },
    { id: 'openai', model: 'big', usable: 0, load: 7 },
  ],
  poolWaiting: 1,
  orders: [
    readOrder(makeOrder('pause/frontier', { atMs: atMs - 60_000, actor: 'ann', reason: 'spike\u001b[2J' }))!,
    readOrder(makeOrder('cancel/tenant/acme'))!,
  ],
  problem: 'SHUNT_KAFKA_UNAVAILABLE: no broker',
}

test('everything is told in plain text, pauses first; nothing that others wrote steers the terminal', () => {
  expect(drawFrame(full, plain).join('\n')).toBe(`\
shunt top  2026-11-25 09:20:00.000 UTC  results of the last 1 min 30 s
pause/frontier for 1 min, by ann: spike?[2J
SHUNT_KAFKA_UNAVAILABLE: no broker

tier  status     per second  results
oss   completed        12.3      240

tenant  results      spend
acme        240  $0.001200

stage       lag  incomplete  state
classifier   12           3  1 lane cannot open

process     in flight  held MB  state
classifier          4      2.1  answers
http://x            0      0.0  fetch failed

backend or provider  model  calls or queue  state
embedded             gemma               2  called
openai               big                 7  left alone
1 step of the pool waiting for a slot`)
})

test('on a terminal titles and bad news stand out, and the text stays the same', () => {
  const lines = drawFrame(full, coloured)
  const red = lines.filter((line) => line.startsWith('\u001b[31m'))
  expect(red.map((line) => /[a-z/]+/i.exec(line.slice(5))?.[0])).toEqual([
    'pause/frontier',
    'SHUNT',
    'classifier',
    'http',
    'openai',
  ])
  // oxlint-disable-next-line no-control-regex
  expect(lines.map((line) => line.replaceAll(/\u001b\[\d+m/g, ''))).toEqual(drawFrame(full, plain))
})
