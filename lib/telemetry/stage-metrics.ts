import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import type { StageGauges, StageMetrics } from '#lib/stream/stage-metrics'

/** A stage's metrics in Prometheus's form. Gauges are read when they are scraped. */
export function createStageMetrics(registry: Registry): StageMetrics {
  const registers = [registry]
  const handled = new Counter({
    name: 'shunt_records_handled_total',
    help: 'Records handled and committed.',
    labelNames: ['topic'],
    registers,
  })
  const rejected = new Counter({
    name: 'shunt_records_rejected_total',
    help: 'Records that ended in the dead letters, by error code.',
    labelNames: ['topic', 'code'],
    registers,
  })
  const retried = new Counter({
    name: 'shunt_records_retried_total',
    help: 'Times that a record was put back to be handled again, by error code.',
    labelNames: ['topic', 'code'],
    registers,
  })
  const transactionSeconds = new Histogram({
    name: 'shunt_transaction_seconds',
    help: 'From the begin of a transaction to its commit.',
    labelNames: ['topic'],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers,
  })
  const transactionRecords = new Histogram({
    name: 'shunt_transaction_records',
    help: 'Records whose offsets one transaction committed.',
    labelNames: ['topic'],
    buckets: [1, 2, 5, 10, 50, 100, 500, 1_000, 5_000],
    registers,
  })
  const transactionsFailed = new Counter({
    name: 'shunt_transactions_failed_total',
    help: 'Transactions that failed or whose outcome is unknown; their lane was opened anew.',
    labelNames: ['topic'],
    registers,
  })

  return {
    recordHandled: (topic) => handled.inc({ topic }),
    recordRejected: (topic, code) => rejected.inc({ topic, code }),
    recordRetried: (topic, code) => retried.inc({ topic, code }),
    transactionCommitted: (topic, seconds, records) => {
      transactionSeconds.observe({ topic }, seconds)
      transactionRecords.observe({ topic }, records)
    },
    transactionFailed: (topic) => transactionsFailed.inc({ topic }),
    watch: (read) => watchGauges(registry, read),
  }
}

function watchGauges(registry: Registry, read: () => StageGauges): void {
  const registers = [registry]
  const gauge = (name: string, help: string, value: (gauges: StageGauges) => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(value(read()))
      },
    })
  gauge('shunt_records_in_flight', 'Records being handled.', (gauges) => gauges.inFlight)
  gauge('shunt_oldest_in_flight_seconds', 'Age of the oldest of them.', (gauges) => gauges.oldestInFlightMs / 1_000)
  gauge('shunt_buffered_bytes', 'Bytes of records and outputs held in memory.', (gauges) => gauges.bufferedBytes)
  const lag = new Gauge({
    name: 'shunt_lag_records',
    help: 'Records in the log that are not handled yet.',
    labelNames: ['topic'],
    registers,
    collect() {
      for (const [topic, records] of Object.entries(read().lag)) lag.set({ topic }, records)
    },
  })
}
