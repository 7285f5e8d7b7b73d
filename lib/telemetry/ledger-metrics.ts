import { Counter, Gauge, type Registry } from 'prom-client'
import type { FoldedRecord } from '#lib/ledger/fold-record'
import type { RebuildProgress } from '#lib/ledger/rebuild'

export interface LedgerMetrics {
  overSettled(record: FoldedRecord): void
  rebuilding(progress: RebuildProgress): void
}

export function createLedgerMetrics(registry: Registry): LedgerMetrics {
  const registers = [registry]
  const overSettles = new Counter({
    name: 'shunt_ledger_over_settled_total',
    help: 'Attempts that cost more than was reserved for them. Alarm on any.',
    labelNames: ['tenant'],
    registers,
  })
  const overMicroUsd = new Counter({
    name: 'shunt_ledger_over_settled_micro_usd_total',
    help: 'What they cost above it.',
    labelNames: ['tenant'],
    registers,
  })
  const folded = new Gauge({
    name: 'shunt_ledger_rebuild_folded_records',
    help: 'Records that the last rebuild folded so far.',
    registers,
  })
  const total = new Gauge({
    name: 'shunt_ledger_rebuild_total_records',
    help: 'Records that it has to fold.',
    registers,
  })
  return {
    overSettled({ tenantId, overMicroUsd: micros }) {
      overSettles.inc({ tenant: tenantId })
      overMicroUsd.inc({ tenant: tenantId }, micros)
    },
    rebuilding(progress) {
      folded.set(progress.folded)
      total.set(progress.total)
    },
  }
}
