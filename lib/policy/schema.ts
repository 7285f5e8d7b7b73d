import { z } from 'zod'
import type { StepKind } from '#lib/events/types.generated'

/**
 * The form of policy.yaml. Unknown keys are errors; units are in the names.
 *
 * A default of version 1 never changes: the hash of a policy is taken before defaults are filled in (policy-hash.ts),
 * so another default would give an old decision another outcome under the same hash. A new default needs version 2.
 */

const id = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,62}$/, 'use lower-case letters, digits, and . _ - after the first, at most 63')
const envName = z
  .string()
  .regex(
    /^[A-Z][A-Z0-9_]{0,63}$/,
    'give the name of an environment variable, such as OPENAI_API_KEY, never the key itself',
  )
const region = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,31}$/, 'use lower-case letters, digits and - after the first, at most 32')
const tag = z
  .string()
  .regex(/^[a-z0-9][a-z0-9_-]{0,31}$/, 'use lower-case letters, digits, and _ - after the first, at most 32')
const url = z.url({ protocol: /^https?$/, error: 'is no URL; write it as http://host:port/v1' })
const ppm = z.number().int().min(0).max(1_000_000)
const durationMs = z.number().int().min(0).max(31_536_000_000)
const microUsd = z.number().int().min(0)

export const stepKinds = [
  'unknown',
  'classification',
  'extraction',
  'summarization',
  'content_filter',
  'routing',
  'tool_call',
  'reasoning',
  'generation',
] as const satisfies readonly StepKind[]

/** Prices in micro-USD per million tokens: 1 USD per million tokens is 1_000_000. */
const tokenPrice = microUsd.max(1_000_000_000)
const price = z.strictObject({ inputMicroUsdPerMTok: tokenPrice, outputMicroUsdPerMTok: tokenPrice })

const model = z.strictObject({
  id,
  tier: z.enum(['oss', 'frontier']),
  /** Name that the backend or provider knows it by. @default id */
  name: z.string().min(1).optional(),
  /** Prompt and answer together. */
  contextTokens: z.number().int().min(256).max(100_000_000),
  /** Most tokens of an answer; a step that names no maximum gets this, and its bound is reckoned with it. */
  maxOutputTokens: z.number().int().min(1).max(1_000_000),
  price,
  /** Factor on the token estimate, so that a bound is one, in ppm. @default 1_150_000 */
  tokenMarginPpm: z.number().int().min(1_000_000).max(10_000_000).default(1_150_000),
  /** Whether it can be offered tools. @default true */
  tools: z.boolean().default(true),
  /** Whether it reads images. @default false */
  images: z.boolean().default(false),
})

/** Where the data goes: a model may be reached in several regions, and each is permitted or not by itself. */
const place = { region, complianceTags: z.array(tag).default([]) }

/** An OpenAI-compatible server of an open model: vLLM, SGLang, llama.cpp, Ollama, the embedded one. */
const backend = z.strictObject({
  id,
  model: id,
  baseUrl: url,
  /** Environment variable that replaces baseUrl where it is set. */
  baseUrlEnv: envName.optional(),
  apiKeyEnv: envName.optional(),
  ...place,
  /** Calls in flight, over one replica of the pool. @default 8 */
  maxInFlight: z.number().int().min(1).max(10_000).default(8),
})

/** As the provider counts them; one that is left out is none. */
const rate = z.number().int().min(1).max(1_000_000_000_000).optional()
const rates = {
  requestsPerMinute: rate,
  inputTokensPerMinute: rate,
  outputTokensPerMinute: rate,
  /** Input and output together, as OpenAI counts: the prompt and the longest answer, then what was used. */
  tokensPerMinute: rate,
}

/** A provider's limits for each of its models, held over all replicas. */
const providerLimits = z.strictObject({
  ...rates,
  /** Other limits of a model, by its id; what is left out is as above. */
  perModel: z.record(id, z.strictObject(rates)).optional(),
  /**
   * The time over which the provider holds them, each by its share of the minute: Azure, for one, has windows of ten
   * seconds. @default a minute
   */
  windowMs: durationMs.min(100).max(60_000).default(60_000),
  /**
   * Longest time from a reservation to the request's arrival at the provider, half of it for the network; a call counts
   * that much longer. What it takes in capacity is its share of the window. @default 1 s
   */
  guardMs: durationMs.min(50).max(10_000).default(1_000),
  /** Of each limit, what batch steps leave free for interactive ones that come of a sudden. @default 2 % */
  interactiveHeadroomPpm: ppm.max(900_000).default(20_000),
})

/**
 * A paid API. `stand_in` answers by itself, says so, and is used where no key is set. `recorded` calls nobody: a replay
 * puts it there, and each step gets the answer that it got when it was recorded (lib/ledger/recorded-answers.ts).
 */
const provider = z.strictObject({
  id,
  api: z.enum(['openai', 'anthropic', 'stand_in', 'recorded']),
  models: z.array(id).min(1),
  baseUrl: url.optional(),
  baseUrlEnv: envName.optional(),
  apiKeyEnv: envName.optional(),
  /** Answer with the stand-in when apiKeyEnv is not set, instead of refusing to start. @default false */
  standInWithoutKey: z.boolean().default(false),
  ...place,
  maxInFlight: z.number().int().min(1).max(10_000).default(16),
  /** Left out: as many calls as `maxInFlight` bears. */
  limits: providerLimits.optional(),
})

/** A tenant's floor: a step can only tighten it. */
const tenant = z.strictObject({
  id: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'use letters, digits, and . _ - after the first, at most 64'),
  /** null: any region. */
  allowedRegions: z.array(region).nullable().default(null),
  requiredTags: z.array(tag).default([]),
  frontierAllowed: z.boolean().default(true),
  /** Caps, held here against what a step has cost and may still cost; the sum over steps comes with the ledger. */
  taskBudgetMicroUsd: microUsd.nullable().default(null),
  dayBudgetMicroUsd: microUsd.nullable().default(null),
  /**
   * Where its results are written in place of agent.results, so that Kafka's access rules can keep tenants apart. It must
   * be there before the policy is activated: `shunt topics apply --policy FILE`. Left out: agent.results.
   */
  resultsTopic: z
    .string()
    .regex(
      /^agent\.results\.[a-z0-9][a-z0-9.-]{0,62}$/,
      'write agent.results. and then lower-case letters, digits, and . - after the first, at most 63',
    )
    .optional(),
  /**
   * `sealed`: a request must come sealed with the tenant's data key, and answers are, so that deleting the key erases both
   * (docs/erasure.md). `any`: whichever the publisher sends. Left out: `any`.
   */
  texts: z.enum(['any', 'sealed']).optional(),
})

/** All conditions that are named must hold. */
const when = z.strictObject({
  kind: z.array(z.enum(stepKinds)).min(1).optional(),
  tenant: z.array(z.string()).min(1).optional(),
  priority: z
    .array(z.enum(['interactive', 'batch']))
    .min(1)
    .optional(),
  requestedModel: z.array(z.string()).min(1).optional(),
  toolAmbiguityAtLeastPpm: ppm.optional(),
  traceTroubleAtLeastPpm: ppm.optional(),
  priorFailuresAtLeast: z.number().int().min(1).optional(),
  toolCountAtLeast: z.number().int().min(1).optional(),
})

const rule = z.strictObject({
  name: z.string().min(1).max(64),
  when,
  /** The tier, or refuse; `model` names the one to try first of the tier. What the constraints removed stays removed. */
  choose: z.strictObject({ tier: z.enum(['oss', 'frontier', 'refuse']), model: id.optional() }),
})

const handWeighted = z.strictObject({ use: z.literal('hand_weighted') })
const trained = z.strictObject({
  use: z.literal('trained'),
  /**
   * sha256 of the scorer, as `shunt calibrate` prints it. Left out in a file: the one given with --scorer, or the one
   * that this release ships. A policy in force always has it (scorer-choice.ts).
   */
  hash: z
    .string()
    .regex(/^[0-9a-f]{64}$/, 'give the sha256 that `shunt calibrate` printed, 64 hex digits')
    .optional(),
})

/** A scorer behind HTTP. Each step's messages and tools are sent to it, so that it has a place like a backend's. */
const httpScorer = z.strictObject({
  use: z.literal('http'),
  url: url.optional(),
  /** Environment variable that replaces url where it is set. */
  urlEnv: envName.optional(),
  apiKeyEnv: envName.optional(),
  ...place,
  /** From a step's question to its answer; what takes longer is scored by the fallback. @default 200 ms */
  timeoutMs: durationMs.min(1).max(60_000).default(200),
  /** Questions under way, over one replica of the classifier; four times as many wait. @default 64 */
  maxInFlight: z.number().int().min(1).max(1_000).default(64),
  /** Scores the steps that it does not. @default hand_weighted */
  fallback: z.discriminatedUnion('use', [handWeighted, trained]).default({ use: 'hand_weighted' }),
})

/** What a threshold starts from. */
const base = {
  /** Where the scorer knows what escalation gains: at or above it a step goes to the frontier. Not set: by chance. */
  gainPpm: z.number().int().min(-1_000_000).max(1_000_000).optional(),
  /** Where it does not: a step whose P(OSS right) is below goes to the frontier. */
  pSuccessPpm: ppm.optional(),
}
export type ThresholdBase = z.output<ReturnType<typeof z.strictObject<typeof base>>>

const perKind = z.strictObject(byKind(z.strictObject(base).optional())).optional()

function byKind<T>(value: T): Record<StepKind, T> {
  return Object.fromEntries(stepKinds.map((kind) => [kind, value])) as Record<StepKind, T>
}

export const policySchema = z.strictObject({
  version: z.literal(1),
  /** Air-gapped: frontier models are removed from every decision. */
  airGapped: z.boolean().default(false),
  models: z.array(model).min(1),
  backends: z.array(backend).min(1),
  providers: z.array(provider).default([]),
  tenants: z.array(tenant).min(1),
  /** The first rule that matches decides, among what the constraints left. */
  rules: z.array(rule).default([]),
  budget: z
    .strictObject({
      /** When what is left of a budget does not bear a frontier answer: let the OSS model answer, or refuse the step. */
      whenExhausted: z.enum(['oss', 'refuse']).default('oss'),
      /** Steps that a task is expected to have, to tell whether its money will last. 20 where not set. */
      expectedSteps: z.number().int().min(1).max(10_000).optional(),
      /** Part of them that is expected to escalate. 0.3 where not set. */
      expectedFrontierSharePpm: ppm.optional(),
      /**
       * How long a step waits where only what others hold, and may not spend, stands in the way of a paid answer; after
       * that the budget counts as exhausted. 2 s where not set.
       */
      waitMs: durationMs.max(60_000).optional(),
    })
    .prefault({}),
  /** What judges a step where no rule decides. @default hand_weighted */
  scorer: z.discriminatedUnion('use', [handWeighted, trained, httpScorer]).optional(),
  threshold: z
    .strictObject({
      ...base,
      pSuccessPpm: ppm.default(500_000),
      /** Bases for kinds of steps, and for tenants; the narrowest that is set holds, a tenant's before a kind's. */
      perKind,
      perTenant: z.record(z.string(), z.strictObject({ ...base, perKind })).optional(),
      /**
       * By how much sooner a step escalates, on either scale, for each failed attempt of this very step, other than
       * those whose cause passes by itself.
       */
      priorFailurePpm: ppm.default(300_000),
      /** The same at full trouble in the trace, in proportion below. */
      traceTroublePpm: ppm.default(250_000),
      /** The same at full tool ambiguity, in proportion below. */
      toolAmbiguityPpm: ppm.default(250_000),
      /** The same where steps of the task failed of late, in proportion to their rate. 0.25 where not set. */
      taskFailuresPpm: ppm.optional(),
      /** The same for the worst of the offered tools. 0.25 where not set. */
      toolFailuresPpm: ppm.optional(),
      /** The same for steps of the kind. 0.1 where not set. */
      kindFailuresPpm: ppm.optional(),
      /** The same for the best of the open models. 0.2 where not set. */
      modelFailuresPpm: ppm.optional(),
      /** By how much later a step escalates, on either scale, where the task's money is all but gone. 0.3 where not set. */
      budgetScarcityPpm: ppm.optional(),
    })
    .prefault({}),
  request: z
    .strictObject({
      /** Fields outside the allow-list: refuse the step, or strip them. @default refuse */
      unsupportedFields: z.enum(['refuse', 'strip']).default('refuse'),
    })
    .prefault({}),
  verification: z
    .strictObject({
      /**
       * An open model's answer whose confidence, by its log-probabilities (lib/verification/confidence.ts), is below is
       * decided again; the pool asks its backends for them. perKind holds before it. Not set: they are not asked for.
       */
      minConfidencePpm: ppm.optional(),
      perKind: z.strictObject(byKind(z.strictObject({ minConfidencePpm: ppm }).optional())).optional(),
      /**
       * An answer with which nothing is wrong but that a schema of the request is unusable, or too costly to check: take
       * it, or decide again, which costs more and cannot mend the schema.
       */
      whenUnverifiable: z.enum(['accept', 'reroute']).default('accept'),
    })
    .prefault({}),
  /** Of steps that their model failed. */
  reroute: z
    .strictObject({
      /**
       * Show the frontier the weak answer of the open model, with what was wrong with it (lib/worker/hint.ts). It is paid
       * for as part of the prompt. Not set: the frontier gets the step's own request.
       */
      hint: z.boolean().optional(),
    })
    .optional(),
  limits: z
    .strictObject({
      /** Attempts a step may have in all. @default 3 */
      maxAttempts: z.number().int().min(1).max(10).default(3),
      /** Time from publication that an interactive step without a deadline may take. @default 10 minutes */
      defaultDeadlineMs: durationMs.default(600_000),
      /** The same for a batch step, which may stand behind a night's work. @default 24 hours */
      batchDeadlineMs: durationMs.default(86_400_000),
      /** How long the first record of a (tenantId, stepId) wins. @default 24 hours */
      dedupeWindowMs: durationMs.min(1).default(86_400_000),
      /** How long a step waits for a model whose backends are all ejected, before another decision. @default 15 s */
      backendWaitMs: durationMs.default(15_000),
    })
    .prefault({}),
  lanes: z
    .strictObject({
      /** Share of a stage's capacity that batch steps may always use, even beside interactive ones. @default 0.2 */
      batchSharePpm: ppm.min(10_000).max(990_000).default(200_000),
      /**
       * Share of each stage's and each backend's slots that batch steps leave free even where nothing else is to be done,
       * so that an interactive step need not wait for a batch call to end. Rounded up, but never the only slot; it goes
       * before batchSharePpm. @default 0.1
       */
      interactiveReservePpm: ppm.max(900_000).default(100_000),
    })
    .prefault({}),
})

/** The lists of a policy, each with the form of one entry. */
export const policyLists = {
  models: model,
  backends: backend,
  providers: provider,
  tenants: tenant,
  rules: rule,
} as const

/** A policy with its defaults filled in. */
export type Policy = z.output<typeof policySchema>
export type PolicyModel = Policy['models'][number]
export type PolicyBackend = Policy['backends'][number]
export type PolicyProvider = Policy['providers'][number]
export type PolicyTenant = Policy['tenants'][number]
export type PolicyRule = Policy['rules'][number]
export type PolicyScorer = NonNullable<Policy['scorer']>
export type HttpScorerPolicy = Extract<PolicyScorer, { use: 'http' }>
