/** Hard constraints: nothing later brings back a model that one of them removed. */
export const constraintReasons = {
  air_gapped: 'The policy is air-gapped, and the model is a frontier model.',
  frontier_not_allowed: 'The tenant or the step does not allow frontier models.',
  residency: 'No backend or provider of the model is in an allowed region.',
  compliance: 'No backend or provider of the model in an allowed region carries every required tag.',
} as const
export type ConstraintReason = keyof typeof constraintReasons

/** Why a model cannot take a step. */
export const removalReasons = {
  ...constraintReasons,
  context_too_small: "The prompt does not fit into the model's context.",
  no_tool_support: 'The step offers tools, and the model takes none.',
  no_image_support: 'The step holds images, and the model reads none.',
  budget_exhausted: 'The upper bound of what an answer costs is more than what is left of the budget.',
} as const
export type RemovalReason = keyof typeof removalReasons

/** Every reason that a decision can carry. Names are stable, since they are in the audit; new ones may be added. */
export const reasons = {
  ...removalReasons,
  confident: 'P(the open model is right) is at or above the threshold.',
  low_confidence: 'P(the open model is right) is below the threshold before anything raised it.',
  low_gain: 'A frontier model would gain less than the policy asks for: both models are right, or both wrong.',
  high_gain: 'A frontier model would gain what the policy asks for, before anything lowered that.',
  ambiguous_tools: 'The offered tools overlap, or do not fit the request; that moved the threshold.',
  trace_trouble: 'The conversation holds failed, repeated or malformed tool calls; that moved the threshold.',
  prior_failure: 'Earlier attempts of this step failed: they moved the threshold, or another model took its turn.',
  failure_memory: 'The task, its tools, kind or models failed of late; that moved the threshold.',
  budget_low: 'What is left for the task would not bear its steps to come; that moved the threshold.',
  rule: 'A rule of the policy decided.',
  breaker_open: 'The model that came first cannot be reached at present; another took its place.',
  no_model_in_tier: 'The policy has no model in the tier that was wanted.',
  attempts_exhausted: 'The step has had all the attempts that the policy allows.',
  deadline: "The step's deadline has passed.",
  tenant_unknown: 'The policy does not know the tenant.',
} as const
export type Reason = keyof typeof reasons
