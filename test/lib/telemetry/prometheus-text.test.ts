import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import { expect, test } from 'vitest'
import { parsePrometheusText } from '#lib/telemetry/prometheus-text'

test('what a registry writes is read again, with whatever its labels hold', async () => {
  const registry = new Registry()
  const registers = [registry]
  const odd = 'a "quoted", back\\slashed {and} two\nlines'
  new Counter({ name: 'records_total', help: 'h', labelNames: ['topic', 'code'], registers }).inc(
    { topic: odd, code: 'x=1' },
    3,
  )
  new Gauge({ name: 'lag', help: 'h', registers }).set(-1.5)
  new Histogram({ name: 'seconds', help: 'h', buckets: [1], registers }).observe(0.5)
  const samples = parsePrometheusText(await registry.metrics())
  expect(samples).toContainEqual({ name: 'records_total', labels: { topic: odd, code: 'x=1' }, value: 3 })
  expect(samples).toContainEqual({ name: 'lag', labels: {}, value: -1.5 })
  expect(samples).toContainEqual({ name: 'seconds_bucket', labels: { le: '+Inf' }, value: 1 })
})

test('what is no sample is passed over', () => {
  expect(parsePrometheusText('# HELP x y\n\n<html>\nx{a="1"} +Inf 1790000000\n')).toEqual([
    { name: 'x', labels: { a: '1' }, value: Infinity },
  ])
})
