import { EventEmitter } from 'node:events'
import type { Redis } from 'ioredis'
import { describe, expect, test, vi } from 'vitest'
import { versionProblem, watchRedisVersion } from '#lib/ledger/redis-version'

const infoOf = (version: string) => `# Server\r\nredis_version:${version}\r\nredis_mode:standalone\r\n`

describe('the version of Redis', () => {
  test.each(['7.0.0', '7.0.15', '8.2.1', '10.0.0'])('%s will do', (version) => {
    expect(versionProblem(infoOf(version))).toBeNull()
  })

  test.each(['6.2.14', '5.0.7'])('%s will not, and is named', (version) => {
    expect(versionProblem(infoOf(version))).toContain(`Redis is ${version}`)
  })

  test('is of no concern where the server does not say', () => {
    expect(versionProblem('# Server\r\n')).toBeNull()
  })

  test('is asked for anew at each connection', async () => {
    const events = new EventEmitter()
    const info = vi.fn<() => Promise<string>>()
    const log = { error: vi.fn<() => void>(), warn: vi.fn<() => void>() }
    const problem = watchRedisVersion(Object.assign(events, { info }) as unknown as Redis, log)
    expect(problem()).toBeNull()
    info.mockResolvedValueOnce(infoOf('6.2.14'))
    events.emit('ready')
    await vi.waitFor(() => expect(problem()).toContain('6.2.14'))
    expect(log.error).toHaveBeenCalledOnce()
    info.mockResolvedValueOnce(infoOf('7.4.0'))
    events.emit('ready')
    await vi.waitFor(() => expect(problem()).toBeNull())
  })
})
