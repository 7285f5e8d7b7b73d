import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { ShuntError } from '#lib/errors'
import { readScorerFile } from '#lib/policy/scorer-file'
import { checkPolicy, parsePolicy, parsePolicyContent } from '#lib/policy/load'
import { formatProblem } from '#lib/policy/problems'

/** A policy without a problem, one section a line or more, so that lines can be counted. */
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
]
const valid = lines.join('\n')

/** The valid policy with lines replaced (from 1) and added at the end. */
function policyWith(changes: Record<number, string>, ...more: string[]): string {
  return [...lines.map((line, index) => changes[index + 1] ?? line), ...more].join('\n')
}

const problemsOf = (text: string) => checkPolicy(text).problems.map((problem) => formatProblem('p.yaml', problem))
const notesOf = (text: string) => checkPolicy(text).notes.map((note) => formatProblem('p.yaml', note))

function hashOf(text: string): string {
  return parsePolicy(text, 'p').hash
}

describe('what is valid', () => {
  test('a policy comes out with its defaults and its index', () => {
    expect(problemsOf(valid)).toEqual([])
    const { policy, hash } = parsePolicy(valid, 'p.yaml')
    expect(policy.threshold.pSuccessPpm).toBe(500_000)
    expect(policy.index.models.get('open')?.places).toEqual([
      { id: 'vllm', tier: 'oss', region: 'eu', complianceTags: ['hipaa'] },
    ])
    expect(hash).toMatch(/^[0-9a-f]{64}$/)
  })

  test('the sample policy has no problem', () => {
    const text = readFileSync(new URL('../../../samples/policy.yaml', import.meta.url), 'utf8')
    expect(checkPolicy(text, readScorerFile().hash).problems).toEqual([])
  })

  test('anchors and merge-free aliases may be used', () => {
    const text = policyWith(
      { 10: '  - &a { id: acme, allowedRegions: &r [eu] }' },
      '  - { id: other, allowedRegions: *r }',
    )
    expect(parsePolicy(text, 'p').policy.tenants[1]?.allowedRegions).toEqual(['eu'])
  })
})

describe('the hash', () => {
  test('does not depend on comments, layout or the order of keys', () => {
    const other = policyWith({ 10: '  - # our own\n    id: "acme"', 1: '' }, 'version: 1')
    expect(hashOf(other)).toBe(hashOf(valid))
  })

  test('is taken before defaults: a default that is written out is another policy', () => {
    expect(hashOf(policyWith({}, 'airGapped: false'))).not.toBe(hashOf(valid))
  })

  test('stays what it is from release to release', () => {
    expect(hashOf(valid)).toBe('ed702dab34214c244979a27b8d6184214f1b7c45d5dc8d44ad7dbc78d496b7d6')
  })

  test('content that was published reads back; content under another hash is refused', () => {
    const loaded = parsePolicy(valid, 'p')
    expect(parsePolicyContent(loaded.content, loaded.hash)).toEqual(loaded)
    expect(() => parsePolicyContent(loaded.content, 'ab')).toThrow(/another hash/)
    expect(() => parsePolicyContent(` ${loaded.content}`, loaded.hash)).toThrow(/another hash/)
    expect(() => parsePolicyContent('{', loaded.hash)).toThrow(/no JSON/)
    expect(() => parsePolicyContent('{"version":2}', loaded.hash)).toThrow(ShuntError)
  })
})

describe('the form', () => {
  test('parsePolicy throws all problems, one a line', () => {
    const text = policyWith({ 1: 'version: 2', 10: '  - { id: "a b" }' })
    expect(() => parsePolicy(text, 'p.yaml')).toThrow(/^p\.yaml:1: version: .*\np\.yaml:10: tenants\[0\]\.id: /)
  })

  test.each([
    ['an unknown key', { 1: 'version: 1\nairGaped: true' }, 'p.yaml:2: unknown key airGaped; did you mean airGapped?'],
    [
      'an unknown key that is like none',
      { 10: '  - { id: acme, zzz: 1 }' },
      'p.yaml:10: tenants[0]: unknown key zzz; known here: id, allowedRegions, requiredTags, frontierAllowed, taskBudgetMicroUsd, dayBudgetMicroUsd, resultsTopic, texts',
    ],
    [
      'a missing key',
      { 6: '  - { id: vllm, model: open, region: eu }' },
      'p.yaml:6: backends[0].baseUrl: is missing; add it as a text',
    ],
    [
      'a fraction',
      {
        4: '  - { id: big, tier: frontier, contextTokens: 0.5, maxOutputTokens: 5, price: { inputMicroUsdPerMTok: 9, outputMicroUsdPerMTok: 9 } }',
      },
      'p.yaml:4: models[1].contextTokens: is a number with a fraction; give a whole number',
    ],
    [
      'a value that is not on the list',
      { 8: '  - { id: openai, api: opnai, models: [big], region: us }' },
      'p.yaml:8: providers[0].api: is none of the known values; use one of openai, anthropic, stand_in, recorded: did you mean openai?',
    ],
    ['a list that is empty', { 9: 'tenants: []', 10: '' }, 'p.yaml:9: tenants: is empty; give at least 1'],
    [
      'what is too big',
      { 10: '  - { id: acme }\nlimits: { maxAttempts: 99 }' },
      'p.yaml:11: limits.maxAttempts: is too big; give at most 10',
    ],
    [
      'a wrong type',
      { 10: '  - { id: acme, requiredTags: hipaa }' },
      'p.yaml:10: tenants[0].requiredTags: is a text; give a list',
    ],
    [
      'no URL',
      { 6: '  - { id: vllm, model: open, baseUrl: "vllm:8000", region: eu }' },
      'p.yaml:6: backends[0].baseUrl: is no URL; write it as http://host:port/v1',
    ],
    [
      'a name that is no form of one',
      { 10: '  - { id: acme, allowedRegions: [EU] }' },
      'p.yaml:10: tenants[0].allowedRegions[0]: has a form that is not allowed; use lower-case letters, digits and - after the first, at most 32',
    ],
  ])('%s', (_name, changes, message) => expect(problemsOf(policyWith(changes))).toEqual([message]))

  test.each([
    ['', 1],
    ['- 1', 1],
    ['version: 1\nversion: 1', 2],
    ['version: 1\nmodels: [', 2],
    ['a: *nowhere', 1],
    ['a: !tag 1', 1],
    ['? [1]\n: 2', 1],
  ])('what is no policy at all is a problem with a line: %j', (text, line) => {
    expect(checkPolicy(text).problems[0]?.line).toBe(line)
    expect(checkPolicy(text).loaded).toBeNull()
  })

  test('a file of aliases that would grow without bounds is refused', () => {
    const bomb = Array.from(
      { length: 12 },
      (_, i) =>
        `a${i}: &a${i} [${Array(12)
          .fill(i === 0 ? 'x' : `*a${i - 1}`)
          .join()}]`,
    )
    expect(problemsOf(bomb.join('\n'))[0]).toMatch(/no valid YAML/)
  })

  test('a policy that no Kafka record could hold is refused', () => {
    const regions = Array.from({ length: 40 }, (_, i) => `region-of-a-rather-long-name-${i}`).join()
    const tenants = Array.from({ length: 800 }, (_, i) => `  - { id: t${i}, allowedRegions: [eu, ${regions}] }`)
    expect(problemsOf(policyWith({}, ...tenants))).toEqual([
      expect.stringMatching(/^p\.yaml:1: has \d+ bytes; keep it under/),
    ])
  })
})

describe('what hangs together', () => {
  test.each([
    [
      'limits of a model that the provider does not serve',
      {
        8: '  - { id: openai, api: openai, models: [big], region: us, limits: { perModel: { bgi: { requestsPerMinute: 5 } } } }',
      },
      ['p.yaml:8: providers[0].limits.perModel: the provider does not serve bgi; name one of its models (big)'],
    ],
    [
      'ids that are there twice, also a backend and a provider of one id',
      { 8: '  - { id: vllm, api: openai, models: [big], region: us }', 10: '  - { id: acme }\n  - { id: acme }' },
      [
        'p.yaml:8: providers[0].id: is that of backends[0] too; rename one',
        'p.yaml:11: tenants[1].id: is that of tenants[0] too; rename one',
      ],
    ],
    [
      'a model that is not there',
      { 6: '  - { id: vllm, model: opne, baseUrl: "http://v/v1", region: eu }' },
      [
        'p.yaml:3: models[0]: nobody serves open; add a backend for it, or remove it',
        'p.yaml:6: backends[0].model: there is no model opne; did you mean open?',
      ],
    ],
    [
      'a model of the other tier',
      { 8: '  - { id: openai, api: openai, models: [big, open], region: us }' },
      ['p.yaml:8: providers[0].models[1]: open is a model of tier oss; name one of tier frontier'],
    ],
    [
      'no room for a prompt',
      {
        3: '  - { id: open, tier: oss, contextTokens: 500, maxOutputTokens: 500, price: { inputMicroUsdPerMTok: 1, outputMicroUsdPerMTok: 1 } }',
      },
      ['p.yaml:3: models[0].maxOutputTokens: leaves no room for a prompt; give less than contextTokens (500)'],
    ],
    [
      'a stand-in for a key that is not named',
      { 8: '  - { id: openai, api: openai, models: [big], region: us, standInWithoutKey: true }' },
      [
        'p.yaml:8: providers[0].standInWithoutKey: there is no key whose absence could be seen; add apiKeyEnv, or set api to stand_in',
      ],
    ],
    [
      'a tenant that no model may serve',
      { 10: '  - { id: acme, allowedRegions: [eu], requiredTags: [baa], frontierAllowed: false }' },
      [
        'p.yaml:10: tenants[0]: its floor leaves no model (open at vllm: compliance, big at openai: frontier_not_allowed); loosen the floor, or add a backend that meets it',
      ],
    ],
    [
      'a cap that bears no step of any permitted model',
      { 10: '  - { id: acme, taskBudgetMicroUsd: 0, dayBudgetMicroUsd: 10 }' },
      [
        'p.yaml:10: tenants[0].taskBudgetMicroUsd: bears no step at all: the cheapest permitted model, open, costs 1 or more; raise it, or leave it out',
      ],
    ],
  ])('%s', (_name, changes, messages) => expect(problemsOf(policyWith(changes))).toEqual(messages))

  test('rules that can never decide', () => {
    const text = policyWith(
      {},
      'rules:',
      '  - { name: a, when: { kind: [classification, routing], toolCountAtLeast: 2 }, choose: { tier: oss } }',
      '  - { name: b, when: { kind: [routing], toolCountAtLeast: 2, priority: [batch] }, choose: { tier: frontier } }',
      '  - { name: c, when: { kind: [routing], toolCountAtLeast: 1 }, choose: { tier: oss, model: big } }',
      '  - { name: d, when: { tenant: [amce] }, choose: { tier: refuse, model: open } }',
      '  - { name: e, when: { priorFailuresAtLeast: 3 }, choose: { tier: frontier, model: nope } }',
      '  - { name: e, when: { requestedModel: [x] }, choose: { tier: oss } }',
    )
    expect(problemsOf(text)).toEqual([
      'p.yaml:13: rules[1]: never matches: rule a before it takes every step that it would; move it up, or remove it',
      'p.yaml:14: rules[2].choose.model: big is a model of tier frontier; name one of tier oss',
      'p.yaml:15: rules[3].choose.model: a refusal has no model; leave it out',
      'p.yaml:15: rules[3].when.tenant[0]: there is no tenant amce; did you mean acme?',
      'p.yaml:16: rules[4].choose.model: there is no model nope; add it under models',
      'p.yaml:16: rules[4].when.priorFailuresAtLeast: never matches: limits.maxAttempts ends a step after 3 attempts; give at most 2',
      'p.yaml:17: rules[5].name: is that of rules[4] too; rename one',
    ])
  })

  test('a mistake of form does not hide those of meaning, nor make references to it look wrong', () => {
    const text = policyWith({
      3: '  - { id: open, tier: oss, contextTokens: 1, maxOutputTokens: 500, price: { inputMicroUsdPerMTok: 1, outputMicroUsdPerMTok: 1 } }',
      8: '  - { id: openai, api: openai, models: [bgi], region: us }',
    })
    expect(problemsOf(text)).toEqual([
      'p.yaml:3: models[0].contextTokens: is too small; give at least 256',
      'p.yaml:8: providers[0].models[0]: there is no model bgi; did you mean big?',
    ])
  })
})

describe('keys do not belong into a policy', () => {
  const key = `sk-proj-${'a1B2'.repeat(8)}`

  test.each([
    ['in the place of a name', { 8: `  - { id: openai, api: openai, models: [big], apiKeyEnv: ${key}, region: us }` }],
    ['in a URL', { 6: `  - { id: vllm, model: open, baseUrl: "http://user:${key}@v/v1", region: eu }` }],
    ['in a query', { 6: `  - { id: vllm, model: open, baseUrl: "http://v/v1?api_key=hunter2", region: eu }` }],
    ['as a password', { 6: '  - { id: vllm, model: open, baseUrl: "http://u:hunter2@v/v1", region: eu }' }],
    ['under an unknown key', { 10: `  - { id: acme, apiKey: ${key} }` }],
  ])('%s: refused, and never repeated', (_name, changes) => {
    const problems = problemsOf(policyWith(changes))
    expect(problems.join('\n')).toMatch(/apiKeyEnv/)
    expect(problems.join('\n')).not.toMatch(/hunter2|a1B2/)
    expect(checkPolicy(policyWith(changes)).loaded).toBeNull()
  })
})

test('a limit that does not bear one answer of full length is noted', () => {
  const limits = 'limits: { windowMs: 30000, outputTokensPerMinute: 800 }'
  const text = policyWith({ 8: `  - { id: openai, api: openai, models: [big], region: us, ${limits} }` })
  expect(problemsOf(text)).toEqual([])
  expect(notesOf(text)).toEqual([
    'p.yaml:8: providers[0].limits: big may write 500 tokens, and its limits bear 400: longer ones are not sent',
  ])
})

test('a provider that has answers in a replay alone is noted', () => {
  const text = policyWith({ 8: '  - { id: openai, api: recorded, models: [big], region: us }' })
  expect(problemsOf(text)).toEqual([])
  expect(notesOf(text)).toEqual([
    'p.yaml:8: providers[0].api: openai answers in a replay alone; elsewhere it has nothing',
  ])
})

test('what may surprise is noted and allowed', () => {
  const text = policyWith(
    {
      3: '  - { id: open, tier: oss, contextTokens: 8000, maxOutputTokens: 500, price: { inputMicroUsdPerMTok: 0, outputMicroUsdPerMTok: 0 } }',
    },
    'airGapped: true',
    'rules: [{ name: up, when: {}, choose: { tier: frontier } }]',
  )
  expect(problemsOf(text)).toEqual([])
  expect(notesOf(text)).toEqual([
    'p.yaml:3: models[0].price: open counts as free',
    'p.yaml:11: airGapped: no step goes to the providers below while this is true',
    'p.yaml:12: rules[0]: has no effect: no step that it matches may go to a frontier model',
  ])
  expect(notesOf(valid)).toEqual([])
})
