import type { ChatRequest } from '#lib/events/chat-request'
import { tightenConstraints } from '#lib/events/tenant'
import type { AgentStep } from '#lib/events/types.generated'
import type { createHttpFetch } from '#lib/models/http-fetch'
import type { PolicyInForce } from '#lib/policy/policy-store'
import type { HttpScorerPolicy } from '#lib/policy/schema'
import { scorerOf } from '#lib/policy/scorer-choice'
import { whyForbidden } from '#lib/routing/constraints'
import type { StepFeatures } from '#lib/routing/features'
import { handWeighted, type Score } from '#lib/routing/score'
import { scoreWith, type ScorerFallback, type Scoring } from '#lib/routing/scoring'
import { createHttpScorer, type HttpScorer, type ScorerAnswer } from './http-scorer.ts'

type ScoredStep = Pick<AgentStep, 'stepId' | 'tenantId' | 'kind' | 'constraints'>
type ScoringPolicy = Pick<PolicyInForce, 'policy' | 'trained'>

/** Scores a step as the policy says. Never rejects: whatever an outside scorer does, the step gets a score. */
export type ScoreStep = (
  step: ScoredStep,
  request: ChatRequest,
  features: StepFeatures,
  policy: ScoringPolicy,
) => Promise<Scoring>

export interface ScoreStepDeps {
  fetch: ReturnType<typeof createHttpFetch>
  env: Readonly<Record<string, string | undefined>>
}

/** The policy's trained scorer or the hand-weighted one here; an HTTP scorer where it is, with these behind it. */
export function createScoreStep(deps: ScoreStepDeps): ScoreStep {
  // What an HTTP scorer did of late is kept as long as policies name the same one.
  let known: { identity: string; scorer: HttpScorer } | undefined

  function httpScorer({ url: given, urlEnv, apiKeyEnv, timeoutMs, maxInFlight }: HttpScorerPolicy): HttpScorer | null {
    const url = (urlEnv === undefined ? undefined : deps.env[urlEnv]) ?? given
    const apiKey = apiKeyEnv === undefined ? null : deps.env[apiKeyEnv]
    if (url === undefined || !URL.canParse(url) || apiKey === undefined) return null
    const options = { url, apiKey, timeoutMs, maxInFlight }
    const identity = JSON.stringify(options)
    if (known?.identity !== identity) known = { identity, scorer: createHttpScorer(deps, options) }
    return known.scorer
  }

  async function ask(
    policy: HttpScorerPolicy,
    step: ScoredStep,
    request: ChatRequest,
  ): Promise<ScorerAnswer | { fallback: ScorerFallback }> {
    const { messages, tools = [] } = request
    const { stepId, kind } = step
    return (await httpScorer(policy)?.ask({ stepId, kind, messages, tools })) ?? { fallback: 'not_configured' }
  }

  return async (step, request, features, { policy, trained }) => {
    const local = trained?.scorer ?? handWeighted
    const scorer = scorerOf(policy)
    if (scorer.use !== 'http') return scoreWith(local, features, request)
    const forbidden = whyNotAsked(step, scorer, policy)
    const answer = forbidden === null ? await ask(scorer, step, request) : { fallback: forbidden }
    if ('fallback' in answer) return scoreWith(local, features, request, answer.fallback)
    const score = scoreOf(answer, () => local.score(features, request))
    return { score, scoredBy: 'http', scorerHash: null, fallback: null }
  }
}

/** The prompt goes where the scorer is: what holds for a backend there holds for it. */
function whyNotAsked(
  step: ScoredStep,
  { region, complianceTags }: HttpScorerPolicy,
  policy: ScoringPolicy['policy'],
): ScorerFallback | null {
  const tenant = policy.index.tenants.get(step.tenantId)
  if (!tenant) return 'tenant_unknown'
  const why = whyForbidden(
    { tier: 'oss', region, complianceTags },
    tightenConstraints(step.constraints, tenant),
    policy,
  )
  return why === null ? null : why === 'compliance' ? 'compliance' : 'residency'
}

/** A scorer that only ranks steps by gain leaves their chance to the one behind it. */
function scoreOf({ pSuccessPpm, gainPpm }: ScorerAnswer, behind: () => Score): Score {
  if (pSuccessPpm !== null) return { pSuccessPpm, gainPpm, parts: [{ name: 'http', ppm: pSuccessPpm }] }
  return { ...behind(), gainPpm }
}
