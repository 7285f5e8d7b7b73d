import { once } from 'node:events'
import { connect } from 'node:net'
import { join } from 'node:path'
import type { LocalPartOptions } from './kafka.ts'
import { onFreePort } from './on-free-port.ts'
import { startPart, type Part } from './part.ts'
import { stackDir } from './paths.ts'
import { requireRedis } from './tools.ts'

export interface RedisPart extends Part {
  redisUrl: string
}

export function startRedis(options: LocalPartOptions): Promise<RedisPart> {
  return onFreePort('Redis', options, async (port) => {
    const dirs = stackDir(options.dir)
    const home = join(dirs.data, 'redis')
    const part = await startPart({
      name: 'redis',
      command: requireRedis(),
      // Without eviction: a claim or a budget that silently goes is worse than a refused write.
      args: flags({
        port,
        bind: '127.0.0.1',
        dir: home,
        appendonly: 'yes',
        appendfsync: 'everysec',
        save: '',
        'maxmemory-policy': 'noeviction',
      }),
      cwd: home,
      env: process.env,
      address: `redis://127.0.0.1:${port}`,
      logFile: join(dirs.log, 'redis.log'),
      runDir: dirs.run,
      probe: () => answersPing(port),
      signal: options.signal,
    })
    return { ...part, redisUrl: part.address }
  })
}

function flags(settings: Record<string, string | number>): string[] {
  return Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)])
}

/** While it loads its file Redis answers `-LOADING`. */
async function answersPing(port: number): Promise<boolean> {
  const socket = connect({ port, host: '127.0.0.1', timeout: 1_000 })
  socket.once('timeout', () => socket.destroy(new Error('no answer')))
  try {
    socket.end('PING\r\n')
    const [answer] = (await once(socket, 'data')) as [Buffer]
    return answer.toString().startsWith('+PONG')
  } finally {
    socket.destroy()
  }
}
