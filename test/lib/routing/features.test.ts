import { describe, expect, test } from 'vitest'
import type { ChatRequest } from '#lib/events/chat-request'
import type { Attempt, StepKind } from '#lib/events/types.generated'
import { completeStep } from '#lib/client/step-input'
import { extractFacts, readStep } from '#lib/routing/facts'
import { extractFeatures } from '#lib/routing/features'
import { handWeighted } from '#lib/routing/score'
import { emptyCounts, scanText } from '#lib/routing/text-scan'

const ask = (content: string): ChatRequest => ({ messages: [{ role: 'user', content }] })
const featuresOf = (request: ChatRequest, kind: StepKind = 'unknown') =>
  extractFeatures({ kind, request: JSON.stringify(request) }, request)
const scoreOf = (request: ChatRequest, kind: StepKind) => {
  const features = featuresOf(request, kind)
  return handWeighted.score(features, request)
}

describe('extractFeatures', () => {
  test('the whole request is read, whatever its length', () => {
    const long = featuresOf(ask(`${'word '.repeat(100_000)}and 17 more`))
    expect(long.words).toBe(100_002)
    expect(long.task.numbers).toBe(1)
    expect(long.promptTokens).toBeGreaterThan(100_000)
  })

  test('texts in parts, tool calls and images count; a refusal is text', () => {
    const features = featuresOf({
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'two words' },
            { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } },
          ],
        },
        { role: 'assistant', content: [{ type: 'refusal', refusal: 'no' }] },
        {
          role: 'assistant',
          tool_calls: [{ id: '1', type: 'function', function: { name: 'find', arguments: '{"q":1}' } }],
        },
        { role: 'tool', tool_call_id: '1', content: 'none' },
      ],
    })
    // The image counts as an image, not as the text of its data URL.
    expect(features).toMatchObject({ imageCount: 1, assistantTurns: 2, messageCount: 4, words: 6 })
    expect(features.promptTokens).toBeGreaterThan(2_600)
    expect(features.promptTokens).toBeLessThan(2_700)
  })

  test.each([
    ['Which is it?\nA. one\nB. two', 'choice'],
    ['How many apples are left?', 'calculate'],
    ['Why did it fail', 'why'],
    ['Is it open?', 'question'],
    ['Label the ticket.', 'none'],
  ])('%j asks as: %s', (text, form) => expect(featuresOf(ask(text)).task.form).toBe(form))

  test('max_completion_tokens goes before max_tokens', () => {
    expect(featuresOf({ ...ask('x'), max_tokens: 5, max_completion_tokens: 9 }).maxOutputTokens).toBe(9)
    expect(featuresOf({ ...ask('x'), max_tokens: 5 }).maxOutputTokens).toBe(5)
    expect(featuresOf(ask('x')).maxOutputTokens).toBeNull()
  })

  test('a request without any user message is read too', () => {
    expect(featuresOf({ messages: [{ role: 'system', content: '' }] }).task).toMatchObject({ words: 0, codePpm: 0 })
  })
})

/** Texts with the number of tokens that GPT's o200k makes of them (gpt-tokenizer 4.0.0). */
const counted: [name: string, tokens: number, text: string][] = [
  [
    'prose',
    63,
    'The parcel has been sitting in Leeds since Tuesday, and the tracking page has said "out for delivery" for three days. I took a day off for nothing. Who pays for that? Please send somebody who can tell me where it is, and refund the 12.99 that you charged for express delivery.',
  ],
  [
    'json',
    61,
    '{"policyId":"HH-55812","holder":{"name":"Edda Voss","address":{"street":"Seeweg 4","city":"Thun"}},"active":true,"cover":["water","fire","theft"],"excess":150,"since":"2019-04-01"}',
  ],
  [
    'code',
    45,
    'export function firstMatch(rules: readonly PolicyRule[], facts: StepFacts): PolicyRule | null {\n  for (const rule of rules) if (matches(rule.when, facts)) return rule\n  return null\n}\n',
  ],
  ['german', 24, 'Die Donaudampfschifffahrtsgesellschaft prüft, ob der Zählerstand übermäßig gestiegen ist.'],
  ['polish', 28, 'Zażółć gęślą jaźń: źdźbło trawy, żółć i łączność.'],
  ['russian', 21, 'Искусственный интеллект выполняет творческие функции, которые считаются прерогативой человека.'],
  ['chinese', 26, '人工智能是计算机科学的一个分支，它企图了解智能的实质，并生产出一种新的智能机器。'],
  ['korean', 32, '인공지능은 인간의 학습능력, 추론능력, 지각능력을 인공적으로 구현하려는 컴퓨터 과학이다.'],
  ['hindi', 18, 'कृत्रिम बुद्धिमत्ता मशीनों द्वारा प्रदर्शित बुद्धिमत्ता है।'],
  ['amharic', 70, 'ሰው ሰራሽ የማሰብ ችሎታ በማሽኖች የሚታይ የማሰብ ችሎታ ነው።'],
  ['emoji', 17, '😀😃😄😁😆😅🤣😂🙂🙃😉😊'],
  ['ids', 57, '0191c3b2-7f3e-7b6c-9a51-0f6f0c9d2e11 4WQ150 HH-55812 2026-11-20T23:14:05.120Z'],
  ['capitals', 17, 'PLEASE REMAIN SEATED UNTIL THE AIRCRAFT HAS COME TO A COMPLETE STOP'],
]

function estimate(text: string): number {
  const counts = emptyCounts()
  scanText(text, counts)
  return Math.ceil(counts.tokenQuarters / 4)
}

describe('the token estimate', () => {
  test.each(counted)('of %s is at least the %d tokens of o200k, with the default margin', (_name, tokens, text) => {
    expect(estimate(text) * 1.15).toBeGreaterThanOrEqual(tokens)
  })

  test.each(counted.slice(0, 3))('of %s is below twice the %d tokens', (_name, tokens, text) => {
    expect(estimate(text)).toBeLessThan(2 * tokens)
  })
})

describe('the hand-weighted score', () => {
  test('its parts add up to it, within the ends of the scale', () => {
    const { pSuccessPpm, parts } = scoreOf(
      ask('Why? Prove that 3 + 4 = 7 and 5 + 6 = 11 and 8 + 9 = 17.'),
      'generation',
    )
    expect(parts.reduce((sum, part) => sum + part.ppm, 0)).toBe(pSuccessPpm)
    const hopeless = { ...ask(`prove ${'é 1 {} '.repeat(9_000)}`), reasoning_effort: 'max' as const }
    expect(scoreOf(hopeless, 'reasoning').pSuccessPpm).toBe(20_000)
  })

  test('a label is trusted more than a page, a fact more than a proof', () => {
    const label = scoreOf({ ...ask('Label: late parcel'), max_tokens: 4 }, 'classification')
    const page = scoreOf({ ...ask('Write about parcels'), max_tokens: 1_200 }, 'generation')
    const proof = scoreOf(ask('Prove it step by step.'), 'reasoning')
    expect(label.pSuccessPpm).toBeGreaterThan(page.pSuccessPpm)
    expect(page.pSuccessPpm).toBeGreaterThan(proof.pSuccessPpm)
  })

  test('numbers count against the model where they are to be reckoned with, not where they are read off', () => {
    const text = 'Ann has 3 apples, Bo 4, Cy 17.'
    expect(scoreOf(ask(text), 'extraction').parts.map(({ name }) => name)).not.toContain('numbers')
    expect(scoreOf(ask(text), 'generation').parts).toContainEqual({ name: 'numbers', ppm: -40_000 })
  })
})

describe('extractFacts', () => {
  const attempt: Attempt = {
    attempt: 1,
    callNo: 1,
    tier: 'oss',
    model: 'm',
    backend: 'b',
    region: 'eu',
    verdict: 'backend_unavailable',
    detail: null,
    startedAtMs: 1,
    endedAtMs: 2,
    promptTokens: 3,
    completionTokens: 4,
    costMicroUsd: 5,
    outcomeUnknown: false,
    standIn: false,
    confidencePpm: null,
    answer: 'secret',
    answerTruncated: false,
  }
  const request = { ...ask('My secret is 42. What is it?'), model: 'gpt' }
  const step = completeStep({ stepId: 's', taskId: 't', tenantId: 'acme', request, kind: 'extraction' })

  test('attempts come with whether their cause passes; a verdict that is not known counts against the model', () => {
    const unknown = { ...attempt, verdict: 'from_the_future' }
    const { priorAttempts } = extractFacts(step, request, [attempt, unknown, { ...attempt, verdict: 'toString' }], 7)
    expect(priorAttempts.map(({ transient }) => transient)).toEqual([true, false, false])
    expect(priorAttempts[0]).toEqual({
      tier: 'oss',
      model: 'm',
      verdict: 'backend_unavailable',
      transient: true,
      costMicroUsd: 5,
    })
  })

  test('facts are whole numbers and names: no text of the request is among them', () => {
    const facts = extractFacts(step, request, [attempt], 7)
    expect(facts).toMatchObject({ tenantId: 'acme', requestedModel: 'gpt', receivedAtMs: 7, kind: 'extraction' })
    expect(JSON.stringify(facts)).not.toContain('secret')
    for (const value of Object.values(facts))
      if (typeof value === 'number') expect(value).toSatisfy(Number.isSafeInteger)
  })

  test('another scorer takes the same place', () => {
    const scorer = { hash: 'ab', score: () => ({ pSuccessPpm: 123_456, gainPpm: 5, parts: [] }) }
    expect(readStep(step, request, [], 7, scorer).facts).toMatchObject({ pSuccessPpm: 123_456, gainPpm: 5 })
  })
})
