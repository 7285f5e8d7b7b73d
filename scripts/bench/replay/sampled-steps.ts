import { createReadStream, readFileSync } from 'node:fs'
import { readSteps } from '#lib/client/read-steps'
import type { ChatRequest } from '#lib/events/chat-request'
import type { AgentStep } from '#lib/events/types.generated'
import { parsePolicy, type LoadedPolicy } from '#lib/policy/load'
import { readScorerFile } from '#lib/policy/scorer-file'

const samples = new URL('../../../samples/', import.meta.url)

/** The samples' steps, over and over, each with ids and a text of its own. */
export async function sampledSteps(): Promise<(n: number) => { step: AgentStep; request: ChatRequest }> {
  const all: AgentStep[] = []
  for (const file of ['claims-agent', 'classification', 'summarisation'])
    for await (const line of readSteps(createReadStream(new URL(`${file}.jsonl`, samples))))
      if ('step' in line) all.push(line.step)
  return (n) => {
    const sample = all[n % all.length]!
    const request = JSON.parse(sample.request) as ChatRequest
    const last = request.messages.at(-1)!
    if (typeof last.content === 'string') last.content += ` (case ${n})`
    const step = { ...sample, stepId: `${sample.stepId}-${n}`, taskId: `${sample.taskId}-${n >> 7}` }
    return { step: { ...step, request: JSON.stringify(request) }, request }
  }
}

/** The samples' policy, and two that escalate sooner and later. */
export function sampledPolicies(): LoadedPolicy[] {
  const text = readFileSync(new URL('policy.yaml', samples), 'utf8')
  const { hash } = readScorerFile()
  const gains = [150_000, 60_000, 320_000]
  return gains.map((gain) => parsePolicy(text.replace('gainPpm: 150000', `gainPpm: ${gain}`), 'policy.yaml', hash))
}
