import type { CompiledPolicy } from '#lib/policy/compile-policy'
import { isRetryable } from '#lib/errors'
import { windowOf } from '#lib/ledger/provider-window'
import type { RecordedChatDeps } from '#lib/models/recorded-chat'
import type { PolicyProvider } from '#lib/policy/schema'
import { describeError, type Logger } from '#lib/telemetry/logger'
import type { ModelQueue, ModelQueueSpec } from './model-queue.ts'
import type { CallLimits } from './call-gate.ts'
import { providerChat, type ProviderChat } from './provider-chat.ts'

type Env = Readonly<Record<string, string | undefined>>

export interface ModelQueues {
  /** Opens and closes queues so that they are those of the policy; none in an air-gapped one. */
  apply(policy: CompiledPolicy): void
  /** Queues that serve a model, in the policy's order of providers. */
  serving(model: string): ModelQueue[]
  all(): ModelQueue[]
  closeAll(graceMs: number): Promise<void>
}

export interface ModelQueuesDeps {
  open: (spec: ModelQueueSpec) => ModelQueue
  env: Env
  /** For providers that serve what was recorded. */
  recorded: RecordedChatDeps
  log: Logger
}

/** Calls under way in a queue that a policy no longer has. */
const retireGraceMs = 60_000

export function createModelQueues(deps: ModelQueuesDeps): ModelQueues {
  let queues = new Map<string, ModelQueue>()
  const retiring = new Set<Promise<void>>()

  function retire(queue: ModelQueue): void {
    const closing = queue
      .close(retireGraceMs)
      .catch((error: unknown) => deps.log.warn({ err: describeError(error) }, 'a queue did not close in order'))
      .finally(() => retiring.delete(closing))
    retiring.add(closing)
  }

  return {
    apply(policy) {
      const specs = policy.airGapped ? [] : queueSpecs(policy, deps)
      const next = new Map<string, ModelQueue>()
      for (const spec of specs) {
        const kept = queues.get(spec.identity)
        kept?.apply(spec)
        next.set(spec.identity, kept ?? deps.open(spec))
      }
      for (const [identity, queue] of queues) if (!next.has(identity)) retire(queue)
      queues = next
      deps.log.info({ queues: [...queues.values()].map((queue) => queue.name) }, 'queues of the policy')
    },
    serving: (model) => [...queues.values()].filter((queue) => queue.spec.model === model),
    all: () => [...queues.values()],
    async closeAll(graceMs) {
      await Promise.allSettled([...[...queues.values()].map((queue) => queue.close(graceMs)), ...retiring])
    },
  }
}

/** Models of which every queue is closed. */
export function unreachableModels(queues: readonly Pick<ModelQueue, 'spec' | 'closed'>[]): string[] {
  const byModel = Map.groupBy(queues, ({ spec }) => spec.model)
  return [...byModel].filter(([, all]) => all.every((queue) => queue.closed())).map(([model]) => model)
}

/** The stand-in has none: nobody is asked. */
function limitsOf({ limits }: PolicyProvider, model: string, chat: ProviderChat): CallLimits {
  if (!limits || chat.standIn) return { window: null, headroomPpm: 0 }
  return { window: windowOf(limits, model), headroomPpm: limits.interactiveHeadroomPpm }
}

/** A provider that cannot be opened is left out, loudly: its steps are decided again, and the others go on. */
function queueSpecs(policy: CompiledPolicy, { env, recorded, log }: ModelQueuesDeps): ModelQueueSpec[] {
  const specs: ModelQueueSpec[] = []
  for (const provider of policy.providers) {
    const { id, region, complianceTags, models, maxInFlight } = provider
    try {
      const chat = providerChat(provider, env, recorded)
      if (chat.standIn)
        log.warn({ provider: id }, `STAND-IN: provider ${id} answers without a model; every such result says so`)
      for (const model of models) {
        const modelName = policy.index.models.get(model)?.model.name ?? model
        const place = { id, tier: 'frontier' as const, region, complianceTags }
        const address = [provider.baseUrl, provider.baseUrlEnv && env[provider.baseUrlEnv], provider.apiKeyEnv]
        const identity = JSON.stringify([place, provider.api, address, chat.standIn, model, modelName])
        const limits = limitsOf(provider, model, chat)
        specs.push({ place, model, modelName, provider: chat, maxInFlight, limits, identity })
      }
    } catch (error) {
      if (isRetryable(error)) throw error
      log.error({ provider: id, err: describeError(error) }, 'the provider is left out')
    }
  }
  return specs
}
