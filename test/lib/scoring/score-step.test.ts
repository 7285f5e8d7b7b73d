import { describe, expect, test } from 'vitest'
import { parsePolicy } from '#lib/policy/load'
import { extractFeatures } from '#lib/routing/features'
import { handWeighted } from '#lib/routing/score'
import { createScoreStep } from '#lib/scoring/score-step'

const request = { messages: [{ role: 'user' as const, content: 'hello' }] }
const features = extractFeatures({ kind: 'unknown', request: JSON.stringify(request) }, request)
const anywhere = { allowedRegions: null, requiredTags: [], frontierAllowed: true, critical: [] }

function policyWith(scorer: string) {
  const text = `version: 1
models:
  - { id: m, tier: oss, contextTokens: 4096, maxOutputTokens: 64, price: { inputMicroUsdPerMTok: 1, outputMicroUsdPerMTok: 1 } }
backends:
  - { id: b, model: m, baseUrl: 'http://b:1/v1', region: eu, complianceTags: [gdpr] }
tenants:
  - { id: t, allowedRegions: [eu, us] }
  - { id: strict, allowedRegions: [eu], requiredTags: [gdpr] }
scorer: ${scorer}
`
  return { policy: parsePolicy(text, 'p').policy, trained: null }
}

function asking(scorer: string, answer: string, env = {}) {
  const sent: string[] = []
  const fetch = (url: unknown) => {
    sent.push(String(url))
    return Promise.resolve(new Response(answer))
  }
  const score = createScoreStep({ fetch: fetch, env })
  const step = (tenantId: string, constraints = anywhere) => ({
    stepId: 's',
    tenantId,
    kind: 'unknown' as const,
    constraints,
  })
  return {
    sent,
    score: (tenantId: string, constraints = anywhere) =>
      score(step(tenantId, constraints), request, features, policyWith(scorer)),
  }
}

const inUs = '{ use: http, url: "http://s:1/score", region: us, complianceTags: [] }'

describe('I2: the prompt goes to an HTTP scorer only where the step may go', () => {
  test.each([
    ['the region of the scorer is not the tenant’s', 'strict', anywhere, 'residency'],
    ['the step allows another region alone', 't', { ...anywhere, allowedRegions: ['eu'] }, 'residency'],
    ['the step requires a tag that the scorer lacks', 't', { ...anywhere, requiredTags: ['gdpr'] }, 'compliance'],
    ['the policy does not know the tenant', 'nobody', anywhere, 'tenant_unknown'],
  ] as const)('%s: nothing is sent, and the record says why', async (_, tenantId, constraints, fallback) => {
    const { sent, score } = asking(inUs, '{"pSuccess":0.1}')
    const scoring = await score(tenantId, constraints as never)
    expect(sent).toEqual([])
    expect(scoring).toMatchObject({ scoredBy: 'hand_weighted', fallback })
    expect(scoring.score).toEqual(handWeighted.score(features, request))
  })

  test('a step that may go there is scored by it', async () => {
    const { sent, score } = asking(inUs, '{"pSuccess":0.1,"gain":0.4}')
    const scoring = await score('t')
    expect(sent).toEqual(['http://s:1/score'])
    expect(scoring).toMatchObject({
      scoredBy: 'http',
      fallback: null,
      score: { pSuccessPpm: 100_000, gainPpm: 400_000 },
    })
  })
})

test('an answer with a gain alone leaves the chance to the fallback', async () => {
  const { score } = asking(inUs, '{"gain":0.4}')
  const { pSuccessPpm } = handWeighted.score(features, request)
  expect((await score('t')).score).toMatchObject({ pSuccessPpm, gainPpm: 400_000 })
})

test('a scorer whose address is in a variable that is not set is not asked', async () => {
  const { sent, score } = asking('{ use: http, urlEnv: SCORER_URL, region: us, complianceTags: [] }', '{}')
  expect(await score('t')).toMatchObject({ fallback: 'not_configured' })
  expect(sent).toEqual([])
})
