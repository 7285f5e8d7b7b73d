import { describe, expect, test } from 'vitest'
import { checkPolicy, parsePolicy, parsePolicyContent } from '#lib/policy/load'
import { formatProblem } from '#lib/policy/problems'
import { trainedHashOf } from '#lib/policy/scorer-choice'

const lines = [
  'version: 1',
  'models:',
  '  - { id: open, tier: oss, contextTokens: 8000, maxOutputTokens: 500, price: { inputMicroUsdPerMTok: 1, outputMicroUsdPerMTok: 1 } }',
  '  - { id: big, tier: frontier, contextTokens: 8000, maxOutputTokens: 500, price: { inputMicroUsdPerMTok: 9, outputMicroUsdPerMTok: 9 } }',
  'backends:',
  '  - { id: vllm, model: open, baseUrl: "http://vllm:8000/v1", region: eu, complianceTags: [hipaa] }',
  'providers:',
  '  - { id: openai, api: openai, models: [big], apiKeyEnv: OPENAI_API_KEY, region: us }',
  'tenants:',
  '  - { id: acme }',
  '  - { id: clinic, allowedRegions: [eu], requiredTags: [hipaa] }',
]
const policyWith = (...more: string[]) => [...lines, ...more].join('\n')
const hash = 'ab'.repeat(32)
const other = 'cd'.repeat(32)

const problemsOf = (text: string, scorerHash: string | null = null) =>
  checkPolicy(text, scorerHash).problems.map((problem) => formatProblem('p', problem))
const notesOf = (text: string, scorerHash: string | null = null) =>
  checkPolicy(text, scorerHash).notes.map((note) => formatProblem('p', note))

describe('the trained scorer', () => {
  const text = policyWith('scorer: { use: trained }', 'threshold: { gainPpm: 100000 }')

  test('without a hash is the one that is at hand, and the policy that it makes names it', () => {
    const loaded = parsePolicy(text, 'p', hash)
    expect(loaded.policy.scorer).toEqual({ use: 'trained', hash })
    expect(trainedHashOf(loaded.policy)).toBe(hash)
    expect(loaded.hash).not.toBe(parsePolicy(text, 'p', other).hash)
    expect(parsePolicyContent(loaded.content, loaded.hash)).toEqual(loaded)
  })

  test('with a hash is that one, whatever is at hand', () => {
    const named = policyWith(`scorer: { use: trained, hash: ${hash} }`, 'threshold: { gainPpm: 100000 }')
    expect(parsePolicy(named, 'p', other).hash).toBe(parsePolicy(text, 'p', hash).hash)
  })

  test('is a problem where there is none, also behind an HTTP scorer', () => {
    const message = 'there is no trained scorer to use; name its directory with --scorer DIR, or give its hash'
    expect(problemsOf(text)).toEqual([`p:12: scorer: ${message}`])
    const behind = policyWith(
      'scorer:',
      '  use: http',
      '  url: http://s/',
      '  region: eu',
      '  fallback: { use: trained }',
    )
    expect(problemsOf(behind)).toEqual([`p:16: scorer.fallback: ${message}`])
    expect(trainedHashOf(parsePolicy(behind, 'p', hash).policy)).toBe(hash)
  })
})

test('a policy that names no scorer, and one that is scored by hand, know no trained one', () => {
  expect(trainedHashOf(parsePolicy(policyWith(), 'p', hash).policy)).toBeNull()
  expect(trainedHashOf(parsePolicy(policyWith('scorer: { use: hand_weighted }'), 'p', hash).policy)).toBeNull()
})

test('the hash of a policy without a scorer does not depend on which scorer is at hand', () => {
  expect(parsePolicy(policyWith(), 'p', hash).hash).toBe(parsePolicy(policyWith(), 'p').hash)
})

test('an HTTP scorer gets its defaults', () => {
  const { policy } = parsePolicy(policyWith('scorer: { use: http, url: "http://s:1/score", region: eu }'), 'p')
  expect(policy.scorer).toEqual({
    use: 'http',
    url: 'http://s:1/score',
    region: 'eu',
    complianceTags: [],
    timeoutMs: 200,
    maxInFlight: 64,
    fallback: { use: 'hand_weighted' },
  })
})

describe('mistakes are named by line, with the remedy', () => {
  test.each([
    [
      'scorer: { use: trainde }',
      'scorer.use: is none of the known values; use one of hand_weighted, trained, http: did you mean trained?',
    ],
    ['scorer: {}', 'scorer.use: is missing; add it as hand_weighted or trained or http'],
    ['scorer: trained', 'scorer: is a text; give a mapping of keys to values'],
    [
      'scorer: { use: trained, hash: abc }',
      'scorer.hash: has a form that is not allowed; give the sha256 that `shunt calibrate` printed, 64 hex digits',
    ],
    ['scorer: { use: http, url: "http://s/" }', 'scorer.region: is missing; add it as a text'],
    ['scorer: { use: http, region: eu }', 'scorer: has no address; add url, or urlEnv, or both'],
    [
      'scorer: { use: http, region: eu, urlEnv: X, timeout: 5 }',
      'scorer: unknown key timeout; did you mean timeoutMs?',
    ],
    ['scorer: { use: http, region: eu, urlEnv: X, timeoutMs: 0 }', 'scorer.timeoutMs: is too small; give at least 1'],
    [
      'scorer: { use: http, region: eu, url: "http://u:p@s/" }',
      'scorer.url: holds credentials; put the key in an environment variable and name that in apiKeyEnv',
    ],
    [
      'scorer: { use: http, region: eu, urlEnv: X, fallback: { use: http } }',
      'scorer.fallback.use: is none of the known values; use one of hand_weighted, trained',
    ],
    ['scorer: { use: hand_weighted, hash: x }', 'scorer: unknown key hash; known here: use'],
    [
      'threshold: { perKind: { reasonning: { gainPpm: 1 } } }',
      'threshold.perKind: unknown key reasonning; did you mean reasoning?',
    ],
    [
      'threshold: { perKind: { reasoning: { gain: 1 } } }',
      'threshold.perKind.reasoning: unknown key gain; known here: gainPpm, pSuccessPpm',
    ],
    [
      'threshold: { perTenant: { acmee: { gainPpm: 1 } } }',
      'threshold.perTenant.acmee: there is no tenant acmee; did you mean acme?',
    ],
    [
      'threshold: { perTenant: { acme: { gainPm: 1 } } }',
      'threshold.perTenant.acme: unknown key gainPm; did you mean gainPpm?',
    ],
    ['threshold: { gainPpm: 2000000 }', 'threshold.gainPpm: is too big; give at most 1000000'],
  ])('%s', (line, message) => expect(problemsOf(policyWith(line))).toEqual([`p:12: ${message}`]))
})

test('a threshold for a tenant that does not exist is told beside mistakes elsewhere', () => {
  expect(
    problemsOf(
      policyWith('threshold: { perTenant: { acmee: { gainPpm: 1 }, acme: { gainPpm: 1 } } }', 'airGaped: true'),
    ),
  ).toEqual([
    'p:12: threshold.perTenant.acmee: there is no tenant acmee; did you mean acme?',
    'p:13: unknown key airGaped; did you mean airGapped?',
  ])
})

describe('what may surprise', () => {
  const noEffect = 'has no effect: the hand-weighted scorer knows no gain; use a trained or an http scorer'

  test('a gain that is asked of a scorer that knows none', () => {
    const threshold = [
      'threshold:',
      '  gainPpm: 5',
      '  perKind: { reasoning: { gainPpm: 1 }, extraction: { pSuccessPpm: 1 } }',
      '  perTenant: { acme: { perKind: { routing: { gainPpm: 2 } } } }',
    ]
    expect(notesOf(policyWith(...threshold))).toEqual([
      `p:13: threshold.gainPpm: ${noEffect}`,
      `p:14: threshold.perKind.reasoning.gainPpm: ${noEffect}`,
      `p:15: threshold.perTenant.acme.perKind.routing.gainPpm: ${noEffect}`,
    ])
    expect(notesOf(policyWith(...threshold, 'scorer: { use: trained }'), hash)).toEqual([])
  })

  test('tenants whose steps an HTTP scorer never sees', () => {
    expect(notesOf(policyWith('scorer: { use: http, region: us, url: "http://s/" }'))).toEqual([
      'p:12: scorer.region: the fallback scores every step of clinic, whose floor does not permit it',
    ])
    expect(notesOf(policyWith('scorer: { use: http, region: eu, complianceTags: [hipaa], url: "http://s/" }'))).toEqual(
      [],
    )
  })
})
