import { randomUUID } from 'node:crypto'
import { Queue } from 'bullmq'
import { Redis } from 'ioredis'
import { pino } from 'pino'
import { expect, inject, test } from 'vitest'
import { openJobQueue } from '../../services/frontier/job-queue.ts'
import { waitUntil } from '../support/wait-until.ts'

const ids = { tenantId: 'acme', taskId: 't', stepId: 's', origin: 'agent.steps/0/0', attempt: 1 }

test('a job of which Redis has lost the list is not there, and is run once it is added again', async () => {
  const [name, prefix] = ['q', `test-${randomUUID().slice(0, 8)}`]
  const redis = new Redis(inject('stack').redisUrl, { maxRetriesPerRequest: null })
  const before = new Queue(name, { connection: redis, prefix })
  await before.add('call', ids, { jobId: 'a' })
  expect(await redis.del(`${prefix}:${name}:wait`)).toBe(1)
  const ran: string[] = []
  const process = (jobId: string) => {
    ran.push(jobId)
    return Promise.resolve({ kind: 'done' as const })
  }
  const jobs = openJobQueue(
    { redis, workerRedis: redis, log: pino({ level: 'silent' }), nowMs: Date.now },
    { name, prefix, concurrency: 1, process, onEnd: () => {} },
  )
  try {
    expect(await jobs.has('a')).toBe(false)
    await jobs.add('a', ids)
    await waitUntil(() => ran.length > 0, 'the job to be run')
    expect(ran).toEqual(['a'])
  } finally {
    await jobs.close()
    await before.obliterate({ force: true })
    await before.close()
    redis.disconnect()
  }
})
