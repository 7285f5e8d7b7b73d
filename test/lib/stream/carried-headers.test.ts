import { expect, test } from 'vitest'
import { carryHeaders } from '#lib/stream/carried-headers'

const out = { topic: 't', key: 'k', value: null }

test('a trace goes on through whatever comes of a record, and nothing else of its headers does', () => {
  const headers = { traceparent: '00-aa-bb-01', 'content-type': 'application/json' }
  expect(carryHeaders({ headers }, { records: [out] }).records).toEqual([
    { ...out, headers: { traceparent: '00-aa-bb-01' } },
  ])
})

test('a header that is set already stays', () => {
  const set = { ...out, headers: { traceparent: '00-cc-dd-01' } }
  expect(carryHeaders({ headers: { traceparent: '00-aa-bb-01' } }, { records: [set] }).records).toEqual([set])
})

test('without any, nothing is copied', () => {
  const handled = { records: [out] }
  expect(carryHeaders({ headers: {} }, handled)).toBe(handled)
})
