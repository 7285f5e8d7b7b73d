interface Waiting<Item, Answer> {
  item: Item
  resolve: (answer: Answer) => void
  reject: (error: unknown) => void
}

/**
 * Questions to Redis that are asked at the same moment go together, one script call a tenant: a call each would cost more
 * than the decision. `run` gives an answer for each item, in order; `maxBatch` bounds how long Redis is held.
 */
export function createTenantBatches<Item extends { tenantId: string }, Answer>(
  run: (items: Item[]) => Promise<readonly Answer[]>,
  /** Items that differ in it are not asked together. */
  keyOf: (item: Item) => string,
  maxBatch: number,
): (item: Item) => Promise<Answer> {
  let waiting: Waiting<Item, Answer>[] = []

  async function runTogether(batch: Waiting<Item, Answer>[]): Promise<void> {
    try {
      const answers = await run(batch.map(({ item }) => item))
      batch.forEach((each, index) => each.resolve(answers[index]!))
    } catch (error) {
      for (const each of batch) each.reject(error)
    }
  }

  function flush(): void {
    const batches = Map.groupBy(waiting, ({ item }) => `${keyOf(item)} ${item.tenantId}`)
    waiting = []
    for (const batch of batches.values())
      for (let start = 0; start < batch.length; start += maxBatch)
        void runTogether(batch.slice(start, start + maxBatch))
  }

  return (item) =>
    new Promise((resolve, reject) => {
      if (waiting.length === 0) setImmediate(flush)
      waiting.push({ item, resolve, reject })
    })
}
