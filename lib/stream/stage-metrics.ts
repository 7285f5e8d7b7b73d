/** What a stage tells of itself while it runs. Counters and histograms are called, gauges are read at each scrape. */
export interface StageMetrics {
  /** A record was handled, and committed. */
  recordHandled(topic: string): void
  /** A record went to the stage's reject, for good. `code` is an ErrorCode, or the error's name. */
  recordRejected(topic: string, code: string): void
  /** A record will be handled again after a failure. */
  recordRetried(topic: string, code: string): void
  /** A transaction was committed. */
  transactionCommitted(topic: string, seconds: number, records: number): void
  /** A transaction failed, or its outcome is unknown; the lane opens anew. */
  transactionFailed(topic: string): void
  /** Called once, when the stage starts. */
  watch(read: () => StageGauges): void
}

export interface StageGauges {
  /** Records in the log that are not handled yet, by topic. */
  lag: Readonly<Record<string, number>>
  /** Records being handled. */
  inFlight: number
  /** Age of the oldest of them, ms; 0 when there is none. */
  oldestInFlightMs: number
  /** Bytes of records and outputs held in memory. */
  bufferedBytes: number
}
