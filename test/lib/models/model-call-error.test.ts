import { APIError as AnthropicError } from '@anthropic-ai/sdk'
import { APIError as OpenAiError } from 'openai'
import { describe, expect, test } from 'vitest'
import { toModelCallError } from '#lib/models/model-call-error'

const never = new AbortController().signal
const openAi = (status: number, error: object, headers: Record<string, string> = {}) =>
  toModelCallError(OpenAiError.generate(status, { error }, undefined, new Headers(headers)), never)
const anthropic = (status: number, error: object, headers: Record<string, string> = {}) =>
  toModelCallError(AnthropicError.generate(status, { type: 'error', error }, undefined, new Headers(headers)), never)

describe('a provider whose account has no money left', () => {
  test.each([
    ['OpenAI, 429 insufficient_quota', openAi(429, { type: 'insufficient_quota', code: 'insufficient_quota' })],
    ['OpenAI, 400 billing_hard_limit_reached', openAi(400, { code: 'billing_hard_limit_reached' })],
    ['a 402 of anybody', openAi(402, { message: 'pay' })],
    ['Anthropic, billing_error', anthropic(402, { type: 'billing_error' })],
    [
      'Anthropic, 400 in words',
      anthropic(400, {
        type: 'invalid_request_error',
        message: 'Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing …',
      }),
    ],
  ])('is told from one that is busy: %s', (_what, error) => {
    expect(error).toMatchObject({ reason: 'quota', transient: false, outcomeUnknown: false })
  })

  test('is not taken from a message that quotes a prompt', () => {
    const message = 'Invalid value: "Your credit balance is too low insufficient_quota billing_error"'
    expect(openAi(400, { type: 'invalid_request_error', message }).reason).toBe('bad_request')
    expect(anthropic(400, { type: 'invalid_request_error', message }).reason).toBe('bad_request')
    expect(openAi(429, { type: 'tokens', code: 'rate_limit_exceeded', message }).reason).toBe('rate_limited')
  })
})

describe('a 429', () => {
  const limited = { type: 'requests', code: 'rate_limit_exceeded' }

  test.each([
    [{ 'retry-after-ms': '1250', 'retry-after': '9' }, 1_250],
    [{ 'retry-after': '2', 'x-ratelimit-reset-requests': '50s', 'x-ratelimit-remaining-requests': '0' }, 2_000],
    [{ 'x-ratelimit-reset-requests': '1m30s', 'x-ratelimit-remaining-requests': '0' }, 90_000],
    [{ 'x-ratelimit-reset': '3' }, 3_000],
    [{}, undefined],
  ])('with %j asks for a wait of %j ms', (headers, retryAfterMs) => {
    expect(openAi(429, limited, headers as Record<string, string>)).toMatchObject({
      reason: 'rate_limited',
      retryAfterMs,
    })
  })

  test('tells what is left of the limits', () => {
    const headers = { 'anthropic-ratelimit-input-tokens-remaining': '0' }
    expect(anthropic(429, { type: 'rate_limit_error' }, headers).limits).toEqual({ inputTokens: 0 })
  })
})
