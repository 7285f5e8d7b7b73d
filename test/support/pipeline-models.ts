import { startOpenAiSimulator, type OpenAiReply, type OpenAiSimulatorOptions } from '../simulators/openai-server.ts'
import type { OpenAiRequest } from '../simulators/openai-request.ts'
import type { Simulator } from '../simulators/model-server.ts'

export interface Models {
  /** Backends of the open model. */
  oss: Simulator[]
  frontier: Simulator
  /** Requests of a step that arrived anywhere. */
  callsOf(stepId: string): number
  /** Requests that arrived anywhere. */
  calls(): number
  stop(): Promise<void>
}

/** In a prompt: the open model's answer is cut off at the token limit, so that the step is routed again. */
export const weakMark = 'WEAK-ANSWER'

/** Models that answer after 20 to 300 ms; the open one gives weak answers where the prompt asks for them. */
export async function startModels(options: {
  oss?: OpenAiSimulatorOptions[]
  frontier?: OpenAiSimulatorOptions
}): Promise<Models> {
  const backends = options.oss ?? [{ latencyMs: 20 }, { latencyMs: 200, slowPpm: 100_000, slowMs: 300 }]
  const oss = await Promise.all(
    backends.map((each) => startOpenAiSimulator({ models: ['open'], reply: openAnswer, ...each })),
  )
  const frontier = await startOpenAiSimulator({
    models: ['frontier'],
    reply: () => ({ content: 'a frontier answer' }),
    latencyMs: 50,
    ...options.frontier,
  })
  const all = [...oss, frontier]
  return {
    oss,
    frontier,
    calls: () => all.reduce((sum, { arrivals }) => sum + arrivals.length, 0),
    callsOf: (stepId) =>
      all.reduce((sum, { arrivals }) => sum + arrivals.filter(({ body }) => stepOf(body) === stepId).length, 0),
    stop: async () => {
      await Promise.all(all.map((simulator) => simulator.stop()))
    },
  }
}

/** Prompts of pipeline-steps.ts begin with their step's id. */
function stepOf(body: unknown): string | undefined {
  return /"step ([\w.-]+)[ "]/.exec(JSON.stringify(body))?.[1]
}

function openAnswer(request: OpenAiRequest): OpenAiReply {
  const isWeak = JSON.stringify(request.messages).includes(weakMark)
  return isWeak ? { content: 'cut o', finishReason: 'length' } : { content: 'an open answer' }
}
