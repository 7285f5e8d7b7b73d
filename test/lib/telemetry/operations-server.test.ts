import { Counter, Registry } from 'prom-client'
import { expect, onTestFinished, test } from 'vitest'
import { serveOperations } from '#lib/telemetry/operations-server'

async function serve(notReady: () => string[]) {
  const metrics = new Registry()
  new Counter({ name: 'shunt_test_total', help: 'a test', registers: [metrics] }).inc(3)
  const server = await serveOperations({ metrics, notReady }, { port: 0, host: '127.0.0.1' })
  onTestFinished(() => server.close())
  return server
}

test('readiness names the reasons, and health does not depend on it', async () => {
  const reasons = ['lane agent.steps/0: SHUNT_OFFSETS_LOST']
  const { url } = await serve(() => reasons)
  const notReady = await fetch(`${url}/readyz`)
  expect(notReady.status).toBe(503)
  expect(await notReady.json()).toEqual({ ready: false, reasons })
  expect((await fetch(`${url}/healthz`)).status).toBe(200)

  reasons.length = 0
  expect((await fetch(`${url}/readyz`)).status).toBe(200)
})

test('metrics are in the form that Prometheus scrapes', async () => {
  const { url } = await serve(() => [])
  const response = await fetch(`${url}/metrics`)
  expect(response.headers.get('content-type')).toContain('text/plain')
  expect(await response.text()).toContain('shunt_test_total 3')
})
