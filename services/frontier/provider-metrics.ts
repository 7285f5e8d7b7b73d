import { Counter, type Registry } from 'prom-client'
import type { WaitsFor } from '#lib/ledger/provider-limits'
import type { UsageProblem } from '#lib/models/usage'
import type { LaneClass } from '#lib/stream/capacity'

export interface ProviderMetrics {
  waited(provider: string, model: string, laneClass: LaneClass, waitsFor: WaitsFor): void
  usageRejected(provider: string, model: string, problem: UsageProblem): void
  accountExhausted(provider: string, model: string): void
}

export function createProviderMetrics(registry: Registry): ProviderMetrics {
  const registers = [registry]
  const waits = new Counter({
    name: 'shunt_provider_waits_total',
    help: 'Calls that waited for a limit of the provider, by what they waited for first.',
    labelNames: ['provider', 'model', 'lane', 'waits_for'],
    registers,
  })
  const rejected = new Counter({
    name: 'shunt_provider_usage_rejected_total',
    help: 'Answers whose usage cannot be, and that were charged at their bound.',
    labelNames: ['provider', 'model', 'problem'],
    registers,
  })
  const exhausted = new Counter({
    name: 'shunt_provider_account_exhausted_total',
    help: 'Times that a provider was left alone since its account had no money left.',
    labelNames: ['provider', 'model'],
    registers,
  })
  return {
    waited: (provider, model, lane, waitsFor) => waits.inc({ provider, model, lane, waits_for: waitsFor }),
    usageRejected: (provider, model, problem) => rejected.inc({ provider, model, problem }),
    accountExhausted: (provider, model) => exhausted.inc({ provider, model }),
  }
}
