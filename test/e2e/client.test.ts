import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { createClient, type Client } from '#lib/client/create-client'
import { createEarlierResults } from '#lib/client/earlier-results'
import { createPublications } from '#lib/client/publications'
import type { StepInput } from '#lib/client/step-input'
import { readRange } from '#lib/client/topic-range'
import type { RecordPlace } from '#lib/client/waits'
import { parseFeedback } from '#lib/events/parse-step'
import type { StepFeedback } from '#lib/events/types.generated'
import type { InboundRecord } from '#lib/stream/types'
import { murmur2Partition, startAnsweringRig, type AnsweringRig } from '../support/answering-rig.ts'
import { waitUntil } from '../support/wait-until.ts'

const log = pino({ level: 'silent' })

function step(stepId: string, more: Partial<StepInput> = {}): StepInput {
  const request = { messages: [{ role: 'user', content: stepId }], max_tokens: 5 }
  return { stepId, taskId: `task-${stepId}`, tenantId: 'acme', request, ...more }
}

describe('a client on Kafka', { timeout: 60_000 }, () => {
  const silent = new Set<string>()
  let rig: AnsweringRig
  let client: Client

  beforeAll(async () => {
    rig = await startAnsweringRig(inject('stack'), ({ stepId }) => (silent.has(stepId) ? 'never' : 'once'))
    client = await createClient({ ...rig, log }, { namespace: rig.namespace })
  })
  afterAll(async () => {
    await client?.close()
    await rig?.stop()
  })

  const stepsNamed = (prefix: string) => rig.steps().filter(({ step }) => step.stepId.startsWith(prefix))

  test('publishes by murmur2 of the task into the twin of the priority, and knows the place', async () => {
    for (const priority of ['interactive', 'batch'] as const) {
      const place = await client.publish(step(`place-${priority}`, { priority }))
      expect(place.topic).toBe(`${rig.namespace}.agent.steps${priority === 'batch' ? '.batch' : ''}`)
      expect(place.partition).toBe(murmur2Partition(`task-place-${priority}`, 3))
      await waitUntil(() => rig.steps().some(({ step }) => step.stepId === `place-${priority}`), 'the step')
      expect(rig.steps().find(({ step }) => step.stepId === `place-${priority}`)?.origin).toMatchObject(place)
    }
  })

  test('places of steps that were sent together are theirs', async () => {
    const published = new Map<string, unknown>()
    await client.publishAll(
      Array.from({ length: 300 }, (_, i) => step(`together-${i}`)),
      { onPublished: ({ stepId }, place) => published.set(stepId, place) },
    )
    await waitUntil(() => stepsNamed('together-').length === 300, 'all steps')
    expect(stepsNamed('together-').map(({ origin }) => origin)).toMatchObject(
      stepsNamed('together-').map(({ step }) => published.get(step.stepId) as object),
    )
  })

  test('a result that came before anybody waited is there', async () => {
    await client.publish(step('early'))
    await new Promise<void>((resolve) => {
      const stop = client.onResult(({ stepId }) => {
        if (stepId !== 'early-2') return
        stop()
        resolve()
      })
      void client.publish(step('early-2', { taskId: 'task-early' }))
    })
    expect((await client.awaitResult({ tenantId: 'acme', stepId: 'early-2' })).status).toBe('completed')
    expect((await client.awaitResult({ tenantId: 'acme', stepId: 'early' })).status).toBe('completed')
  })

  test('asks, and the answer is that of the step', async () => {
    expect(await client.ask(step('asked'), { timeoutMs: 20_000 })).toMatchObject({
      stepId: 'asked',
      origin: { topic: `${rig.namespace}.agent.steps` },
    })
  })

  test('a wait without a result ends by its time-out, or by its signal', async () => {
    silent.add('silent')
    await expect(client.ask(step('silent'), { timeoutMs: 300 })).rejects.toMatchObject({ code: 'SHUNT_AWAIT_TIMEOUT' })
    const stop = new AbortController()
    const waiting = client.awaitResult({ tenantId: 'acme', stepId: 'silent' }, { signal: stop.signal })
    stop.abort(new Error('enough'))
    await expect(waiting).rejects.toThrow('enough')
  })

  test('an oversized step is refused by name and the next one goes through', async () => {
    const large = step('large', { request: { messages: [{ role: 'user', content: 'x'.repeat(1_100_000) }] } })
    await expect(client.publish(large)).rejects.toMatchObject({ code: 'SHUNT_EVENT_TOO_LARGE' })
    const almost = step('almost', { request: { messages: [{ role: 'user', content: 'x'.repeat(1_040_000) }] } })
    expect((await client.ask(almost)).status).toBe('completed')
  })

  test('a thousand waits at once each get their own result', async () => {
    const names = Array.from({ length: 1_000 }, (_, i) => `many-${i}`)
    for (const name of names) silent.add(name)
    const waits = names.map((stepId) => client.awaitResult({ tenantId: 'acme', stepId }, { timeoutMs: 50_000 }))
    await client.publishAll(
      names.map((name) => step(name)),
      {},
    )
    await waitUntil(() => stepsNamed('many-').length === 1_000, 'all steps')
    await rig.writeResults(stepsNamed('many-'))
    expect((await Promise.all(waits)).map(({ stepId }) => stepId)).toEqual(names)
  })

  test('a look back for the results of duplicates that fails is tried again', async () => {
    await client.ask(step('before'))
    let failures = 0
    const kafka: typeof rig.kafka = (clientId) => {
      if (failures-- > 0) throw new Error('no broker')
      return rig.kafka(clientId)
    }
    const earlier = await createEarlierResults({ ...rig, log, kafka }, { namespace: rig.namespace })
    const ends: string[] = []
    const publications = createPublications({
      onEnd: ({ stepId }) => void ends.push(stepId),
      onSecond: () => void ends.push('second'),
    })
    const stop = earlier.follow(publications)
    failures = 2
    publications.add({ tenantId: 'acme', stepId: 'before' })
    publications.acknowledged({ tenantId: 'acme', stepId: 'before' }, await client.publish(step('before')))
    await waitUntil(() => publications.pending() === 0, 'the first result')
    expect(failures).toBeLessThan(0)
    expect(ends).toEqual(['before'])
    await stop()
    await earlier.close()
  })

  test('back-pressure: no more is read from the source than there is room for', async () => {
    const small = await createClient(
      { ...rig, log },
      { namespace: rig.namespace, results: false, maxBufferedBytes: 20_000, maxBatchBytes: 5_000 },
    )
    let pulled = 0
    let published = 0
    let most = 0
    function* source(): Generator<StepInput> {
      for (; pulled < 200; pulled++) {
        most = Math.max(most, pulled - published)
        yield step(`room-${pulled}`, { request: { messages: [{ role: 'user', content: 'x'.repeat(1_000) }] } })
      }
    }
    await small.publishAll(source(), { onPublished: () => (published += 1) })
    await small.close()
    expect(published).toBe(200)
    expect(most).toBeLessThan(25)
  })

  test('feedback lies in agent.feedback by its task, in the order in which it was given', async () => {
    const of = (stepId: string, verdict: 'right' | 'wrong') => ({ tenantId: 'acme', stepId, taskId: 'judged', verdict })
    await client.feedback({
      ...of('judged-1', 'wrong'),
      code: 'wrong_label',
      actor: 'reviewer',
      atMs: 1_767_309_000_000,
    })
    const places: RecordPlace[] = []
    await client.feedbackAll([of('judged-1', 'right'), { ...of('judged-2', 'right'), taskId: '' }], {
      onPublished: (_feedback, place) => places.push(place),
      onFailed: ({ stepId }, error) =>
        expect([stepId, error]).toMatchObject(['judged-2', { code: 'SHUNT_EVENT_INVALID' }]),
    })
    expect(places).toMatchObject([
      { topic: `${rig.namespace}.agent.feedback`, partition: murmur2Partition('judged', 3) },
    ])

    const topic = `${rig.namespace}.agent.feedback`
    const found: StepFeedback[] = []
    const onRecord = async (record: InboundRecord) => void found.push(await parseFeedback(record, rig.codec))
    await readRange({ ...rig, log }, { topics: [topic], from: 'beginning', onRecord })
    expect(found).toMatchObject([
      { ...of('judged-1', 'wrong'), code: 'wrong_label', actor: 'reviewer', atMs: 1_767_309_000_000 },
      { ...of('judged-1', 'right'), code: null, actor: null },
    ])
  })

  test('says what to do where topics are missing', async () => {
    await expect(createClient({ ...rig, log }, { namespace: 'never-applied' })).rejects.toMatchObject({
      code: 'SHUNT_TOPICS_NOT_APPLIED',
    })
  })
})
