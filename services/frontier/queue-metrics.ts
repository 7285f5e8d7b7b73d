import { Gauge, type GaugeConfiguration, type Registry } from 'prom-client'
import type { ModelQueues } from './model-queues.ts'

/** State and length of each provider's queue; read when they are scraped. */
export function createQueueMetrics(registry: Registry, queues: Pick<ModelQueues, 'all'>): void {
  const gauge = (configuration: GaugeConfiguration<'provider' | 'model'>) =>
    registry.registerMetric(new Gauge({ ...configuration, registers: [] }))
  gauge({
    name: 'shunt_provider_usable',
    help: '1 where the provider gets calls of this process, 0 while its circuit breaker is open.',
    labelNames: ['provider', 'model'],
    collect() {
      this.reset()
      for (const { spec, closed } of queues.all())
        this.set({ provider: spec.place.id, model: spec.model }, closed() ? 0 : 1)
    },
  })
  gauge({
    name: 'shunt_provider_queued',
    help: 'Calls that wait or run in the queue of a provider and model, which all replicas share.',
    labelNames: ['provider', 'model'],
    async collect() {
      this.reset()
      for (const { spec, length } of queues.all()) {
        const jobs = await length()
        // A Redis that is away is told by /readyz, and must not take the other metrics with it.
        if (jobs !== null) this.set({ provider: spec.place.id, model: spec.model }, jobs)
      }
    },
  })
}
