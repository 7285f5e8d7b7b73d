import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { repositoryDir } from '../../../cli/stack/paths.ts'
import { benchModel } from './load.ts'

export interface BackendOptions {
  latencyMs: number
  slots: number
  /** Requests whose last message contains the marker take so long. */
  slow?: { marker: string; ms: number }
}

export interface SimulatedBackend {
  url: string
  /** Requests so far, and the most at one time. */
  arrivals: () => Promise<{ count: number; peak: number }>
  stop: () => Promise<void>
}

export const backendKey = 'test-key'

/** A simulated backend as a process of its own, so that its work is not done in ours. */
export function startBackend({ latencyMs, slots, slow }: BackendOptions): Promise<SimulatedBackend> {
  const args = ['--latency-ms', String(latencyMs), '--slots', String(slots)]
  if (slow) args.push('--slow-marker', slow.marker, '--slow-ms', String(slow.ms))
  return startSimulator(args)
}

/** With any options that the simulator takes. */
export async function startSimulator(args: readonly string[]): Promise<SimulatedBackend> {
  const child = spawn(process.execPath, ['test/simulators/main.ts', 'openai', '--key', backendKey, ...args], {
    cwd: repositoryDir,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const kill = () => child.kill()
  process.once('exit', kill)
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string]
  const { url } = JSON.parse(line) as { url: string }
  return {
    url,
    async arrivals() {
      const response = await fetch(`${url}/simulator/arrivals`)
      return (await response.json()) as { count: number; peak: number }
    },
    async stop() {
      const ended = once(child, 'exit')
      child.kill()
      await ended
      process.off('exit', kill)
    },
  }
}

/** The plainest call of it, at most `slots` at once: what a loop without a pool would do. */
export function plainCalls(url: string, slots: number): (content: string) => Promise<void> {
  let free = slots
  const waiting: (() => void)[] = []
  return async (content) => {
    if (free > 0) free--
    else await new Promise<void>((resolve) => waiting.push(resolve))
    try {
      const response = await fetch(`${url}/v1/chat/completions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${backendKey}`, 'content-type': 'application/json' },
        body: JSON.stringify({
          model: benchModel,
          messages: [{ role: 'user', content }],
          max_completion_tokens: 8,
        }),
      })
      if (!response.ok) throw new Error(`the simulated backend answered ${response.status}`)
      await response.json()
    } finally {
      const next = waiting.shift()
      if (next) next()
      else free++
    }
  }
}
