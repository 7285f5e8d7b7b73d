import { DatabaseSync } from 'node:sqlite'
import type { StepStatus, Tier } from '#lib/events/types.generated'

/** How a step ended when it was recorded. */
export interface RecordedEnd {
  status: StepStatus
  tier: Tier | null
  model: string | null
  costMicroUsd: number
}

/** With what a frontier model answered it, where one did: chat.completion JSON text, sealed where the step is. */
export interface RecordedResult extends RecordedEnd {
  answer: string | null
  promptTokens: number
  completionTokens: number
  standIn: boolean
}

/**
 * What is known of the recorded steps, by topic/partition/offset of their records, bare of their namespace. It lies in a
 * file that lasts as long as the command. Why not in memory, nor in Redis? There is no bound on the range, and the live
 * services need that Redis.
 */
export interface RecordedRun extends Disposable {
  addResults(results: readonly (RecordedResult & { origin: string })[]): void
  result(origin: string): RecordedResult | null
  want(origins: readonly string[]): void
  isWanted(origin: string): boolean
}

export function openRecordedRun(path: string): RecordedRun {
  const db = new DatabaseSync(path)
  // Nobody opens it again: a crash may leave it broken.
  db.exec(`PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -16384;
    CREATE TABLE IF NOT EXISTS result (
      origin TEXT PRIMARY KEY, status TEXT, tier TEXT, model TEXT, cost INTEGER,
      answer TEXT, prompt INTEGER, completion INTEGER, standIn INTEGER
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS wanted (origin TEXT PRIMARY KEY) WITHOUT ROWID;`)
  const addResult = db.prepare('INSERT OR IGNORE INTO result VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)')
  const findResult = db.prepare('SELECT * FROM result WHERE origin = ?')
  const addWanted = db.prepare('INSERT OR IGNORE INTO wanted VALUES (?)')
  const findWanted = db.prepare('SELECT 1 FROM wanted WHERE origin = ?')

  function together(work: () => void): void {
    db.exec('BEGIN')
    work()
    db.exec('COMMIT')
  }

  return {
    addResults: (results) =>
      together(() => {
        for (const { origin, status, tier, model, costMicroUsd, answer, ...used } of results)
          addResult.run(
            origin,
            status,
            tier,
            model,
            costMicroUsd,
            answer,
            used.promptTokens,
            used.completionTokens,
            used.standIn ? 1 : 0,
          )
      }),
    result(origin) {
      const row = findResult.get(origin) as Row | undefined
      if (!row) return null
      const { status, tier, model, cost, answer, prompt, completion, standIn } = row
      const end = { status, tier, model, costMicroUsd: cost }
      return { ...end, answer, promptTokens: prompt, completionTokens: completion, standIn: standIn === 1 }
    },
    want: (origins) =>
      together(() => {
        for (const origin of origins) addWanted.run(origin)
      }),
    isWanted: (origin) => findWanted.get(origin) !== undefined,
    [Symbol.dispose]: () => db.close(),
  }
}

interface Row {
  status: StepStatus
  tier: Tier | null
  model: string | null
  cost: number
  answer: string | null
  prompt: number
  completion: number
  standIn: number
}
