import type { Infrastructure } from '../../../cli/stack/stack.ts'
import { startBenchStack } from '../spine/bench-stack.ts'
import { partitions, writeDecisionLog, type DecisionLog } from './decision-log.ts'

/** The log that the parts of this bench read, and the environment in which a command finds it. */
export interface ReplayBench extends DecisionLog {
  env: Record<string, string>
  namespace: string
}

export async function writeReplayBench(infrastructure: Infrastructure, dir: string): Promise<ReplayBench> {
  const startedAtMs = performance.now()
  const stack = await startBenchStack({ infrastructure, dir, partitions, ossUrl: 'http://127.0.0.1:1', maxInFlight: 1 })
  try {
    const log = await writeDecisionLog(stack)
    const seconds = Math.round((performance.now() - startedAtMs) / 1_000)
    console.log(`  a log of ${log.whole.decisions.toLocaleString('en-US')} decisions, written in ${seconds} s`)
    return { ...log, env: { ...infrastructure.env, SHUNT_NAMESPACE: stack.namespace }, namespace: stack.namespace }
  } finally {
    await stack.stop()
  }
}
