import type { Redis } from 'ioredis'
import { describeError, type Logger } from '#lib/telemetry/logger'

/** Claims are made with SET … NX GET, which Redis has since 7.0. */
const leastMajor = 7

/** Why a Redis will not do, by its answer to INFO; null where it will, or does not say. */
export function versionProblem(info: string): string | null {
  const version = /^redis_version:(\S+)/m.exec(info)?.[1]
  if (version === undefined || Number.parseInt(version, 10) >= leastMajor) return null
  return `Redis is ${version}, and ${leastMajor}.0 or later is needed`
}

/**
 * Asks for the version at each connection, since a Redis may be replaced under a running service. Returns what there is
 * to say against the one that is connected. Refused: to end the service, whose steps wait just as well.
 */
export function watchRedisVersion(
  redis: Pick<Redis, 'on' | 'info'>,
  log: Pick<Logger, 'error' | 'warn'>,
): () => string | null {
  let problem: string | null = null
  async function check(): Promise<void> {
    try {
      problem = versionProblem(await redis.info('server'))
      if (problem !== null) log.error(problem)
    } catch (error) {
      log.warn({ err: describeError(error) }, 'cannot read the version of Redis')
    }
  }
  redis.on('ready', () => void check())
  return () => problem
}
