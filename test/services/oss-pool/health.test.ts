import { expect, test } from 'vitest'
import { createHealth } from '../../../services/oss-pool/health.ts'

function harness() {
  let now = 0
  const health = createHealth({ nowMs: () => now }, { failuresToEject: 3, ejectMs: 1_000, maxEjectMs: 3_000 })
  return {
    health,
    at: (ms: number) => (now = ms),
    fail: (times: number) => Array.from({ length: times }, () => health.failed(health.epoch())),
  }
}

test('failures in a row eject, and a success between them does not let them', () => {
  const { health, fail } = harness()
  fail(2)
  health.succeeded(health.epoch())
  fail(2)
  expect(health.state()).toBe('healthy')
  fail(1)
  expect(health.state()).toBe('ejected')
  expect(health.available()).toBe(false)
})

test('after its time one call tries it out, and its success brings the rest back', () => {
  const { health, at, fail } = harness()
  fail(3)
  at(1_000)
  expect(health.state()).toBe('trial')
  expect(health.available()).toBe(true)
  health.started()
  expect(health.available()).toBe(false)
  health.succeeded(health.epoch())
  expect(health.state()).toBe('healthy')
  expect(health.available()).toBe(true)
})

test('a failed trial ejects for longer each time, up to a bound', () => {
  const { health, at, fail } = harness()
  fail(3)
  let now = 0
  for (const lengthMs of [1_000, 2_000, 3_000, 3_000]) {
    at(now + lengthMs - 1)
    expect(health.state()).toBe('ejected')
    now += lengthMs
    at(now)
    expect(health.state()).toBe('trial')
    health.started()
    fail(1)
  }
})

test('a trial that said nothing of its health leaves room for another', () => {
  const { health, at, fail } = harness()
  fail(3)
  at(1_000)
  health.started()
  health.ended(health.epoch())
  expect(health.available()).toBe(true)
})

test('calls from before the ejection neither lengthen it nor decide the trial', () => {
  const { health, at, fail } = harness()
  const before = health.epoch()
  fail(3)
  health.failed(before)
  at(1_000)
  health.started()
  health.failed(before)
  health.succeeded(before)
  expect(health.state()).toBe('trial')
  health.ended(before)
  expect(health.available()).toBe(false)
  health.succeeded(health.epoch())
  expect(health.state()).toBe('healthy')
})

test('probes eject as calls do, and a good one ends an ejection with a trial', () => {
  const { health } = harness()
  for (let i = 0; i < 3; i++) health.probed(false)
  expect(health.state()).toBe('ejected')
  health.probed(true)
  expect(health.state()).toBe('trial')
})

test('a pause that the backend asked for is kept, and is no ejection', () => {
  const { health, at } = harness()
  health.pauseUntil(500)
  expect(health.available()).toBe(false)
  expect(health.state()).toBe('healthy')
  at(500)
  expect(health.available()).toBe(true)
})
