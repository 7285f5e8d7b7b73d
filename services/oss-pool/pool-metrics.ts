import { Gauge, type GaugeConfiguration, type Registry } from 'prom-client'
import type { Pool } from './pool.ts'

/** Slots and health of each backend, and how many steps wait for one; read when they are scraped. */
export function createPoolMetrics(registry: Registry, pool: Pool): void {
  const gauge = (configuration: GaugeConfiguration<'backend' | 'model'>) =>
    registry.registerMetric(new Gauge({ ...configuration, registers: [] }))
  gauge({
    name: 'shunt_backend_in_flight',
    help: 'Calls in flight, by backend.',
    labelNames: ['backend', 'model'],
    collect() {
      this.reset()
      for (const { id, model, inFlight } of pool.backends()) this.set({ backend: id, model }, inFlight)
    },
  })
  gauge({
    name: 'shunt_backend_usable',
    help: '1 where the backend gets calls, 0.5 while one call tries it out, 0 while it is ejected.',
    labelNames: ['backend', 'model'],
    collect() {
      this.reset()
      const values = { healthy: 1, trial: 0.5, ejected: 0 }
      for (const { id, model, health } of pool.backends()) this.set({ backend: id, model }, values[health.state()])
    },
  })
  gauge({
    name: 'shunt_pool_waiting',
    help: 'Steps that wait for a free slot.',
    collect() {
      this.set(pool.waiting())
    },
  })
}
