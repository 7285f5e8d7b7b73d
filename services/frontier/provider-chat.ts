import { ShuntError } from '#lib/errors'
import { createAnthropicChat } from '#lib/models/anthropic-chat'
import type { ChatModel } from '#lib/models/chat-model'
import { createOpenAiChat } from '#lib/models/openai-chat'
import { createStandIn } from '#lib/models/stand-in'
import { createRecordedChat, type RecordedChatDeps } from '#lib/models/recorded-chat'
import type { PolicyProvider } from '#lib/policy/schema'

type Env = Readonly<Record<string, string | undefined>>

export interface ProviderChat {
  chat: ChatModel
  /** No model answers: the stand-in does. */
  standIn: boolean
}

/**
 * The client of a provider; address and key from the environment where the policy says so. Throws SHUNT_CONFIG_INVALID
 * where the key is not set and the policy does not allow the stand-in.
 */
export function providerChat(provider: PolicyProvider, env: Env, recorded: RecordedChatDeps): ProviderChat {
  const { id, api, apiKeyEnv, baseUrlEnv, standInWithoutKey } = provider
  if (api === 'stand_in') return { chat: createStandIn(), standIn: true }
  if (api === 'recorded') return { chat: createRecordedChat(recorded), standIn: false }
  const apiKey = apiKeyEnv === undefined ? undefined : env[apiKeyEnv]
  const baseUrl = (baseUrlEnv === undefined ? undefined : env[baseUrlEnv]) ?? provider.baseUrl
  // An address of one's own may ask for no key; the API's own does.
  const keyless = apiKeyEnv === undefined && baseUrl !== undefined
  if (!apiKey && !keyless) {
    if (standInWithoutKey) return { chat: createStandIn(), standIn: true }
    throw new ShuntError(
      'SHUNT_CONFIG_INVALID',
      `provider ${id} needs a key: set ${apiKeyEnv ?? 'apiKeyEnv in the policy'}, or allow standInWithoutKey`,
    )
  }
  if (api === 'anthropic') return { chat: createAnthropicChat({ apiKey: apiKey ?? 'none', baseUrl }), standIn: false }
  return { chat: createOpenAiChat({ baseUrl: baseUrl ?? 'https://api.openai.com/v1', apiKey }), standIn: false }
}
