import { expect, test } from 'vitest'
import { createHealth } from '../../../services/oss-pool/health.ts'

function harness() {
  let now = 0
  const health = createHealth({ nowMs: () => now }, { failuresToEject: 3, ejectMs: 1_000, maxEjectMs: 3_000 })
  return {
    health,
    at: (ms: number) => (now = ms),
    fail: (times: number) => Array.from({ length: times }, health.failed),
  }
}

test('failures in a row eject, and a success between them does not let them', () => {
  const { health, fail } = harness()
  fail(2)
  health.succeeded()
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
  health.succeeded()
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
    health.failed()
  }
})

test('a trial that said nothing of its health leaves room for another', () => {
  const { health, at, fail } = harness()
  fail(3)
  at(1_000)
  health.started()
  health.ended()
  expect(health.available()).toBe(true)
})

test('a late failure of a call from before the ejection does not lengthen it', () => {
  const { health, at, fail } = harness()
  fail(8)
  at(1_000)
  expect(health.state()).toBe('trial')
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
