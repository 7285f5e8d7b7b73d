/** What is known of a verdict: whether to try again, and what to tell a person. */
export interface VerdictInfo {
  /** True when the same call to the same model may succeed a little later; false: only another decision helps. */
  transient: boolean
  /** What it means, for docs/codes.md. */
  meaning: string
  /** True where the answer passed whatever could be checked and something could not: no fault of the answer. */
  unverifiable?: true
}

/**
 * The closed list of what an attempt can end in; `Attempt.verdict` holds one of the keys. First come verdicts on an
 * answer that arrived (lib/verification), then those on a call that brought none.
 */
export const verdicts = {
  ok: { transient: false, meaning: 'The answer passed every check and is the result.' },
  truncated: { transient: false, meaning: 'The answer was cut at the output-token limit (finish_reason length).' },
  empty: { transient: false, meaning: 'The answer has neither text nor a tool call.' },
  content_filtered: { transient: false, meaning: 'The backend withheld the answer (finish_reason content_filter).' },
  refused: {
    transient: false,
    meaning: 'The model declined to answer: message.refusal, or an open model in a text that says nothing else.',
  },
  unknown_tool: { transient: false, meaning: 'A tool was called that the request does not offer.' },
  tool_expected: {
    transient: false,
    meaning: 'The request demands a tool call, or a certain one (tool_choice), and the answer has none such.',
  },
  tool_unexpected: { transient: false, meaning: 'A tool was called although tool_choice is none.' },
  arguments_malformed: { transient: false, meaning: "A tool call's arguments are not a JSON object." },
  arguments_invalid: { transient: false, meaning: "A tool call's arguments do not fit the tool's schema." },
  format_mismatch: {
    transient: false,
    meaning:
      'JSON was asked for (response_format) and the answer is not JSON, or not an object where no schema is given.',
  },
  schema_mismatch: { transient: false, meaning: 'The answer is JSON and does not fit the schema of response_format.' },
  label_unknown: {
    transient: false,
    meaning: 'The answer is none of the labels that the step names (metadata shunt.labels).',
  },
  low_confidence_answer: {
    transient: false,
    meaning: "The log-probabilities of the answer are below the policy's verification.minConfidencePpm.",
  },
  schema_unusable: {
    transient: false,
    meaning:
      'A schema of the request is no JSON Schema, is too large, or points elsewhere; the answer passed all other checks. It is the result, unless verification.whenUnverifiable is reroute.',
    unverifiable: true,
  },
  verification_timeout: {
    transient: false,
    meaning:
      'Holding the answer against its schema took too much time or memory; it passed all other checks. It is the result, unless verification.whenUnverifiable is reroute.',
    unverifiable: true,
  },
  response_malformed: { transient: true, meaning: 'The backend answered with something that is no chat completion.' },
  backend_unavailable: {
    transient: true,
    meaning: 'The backend could not be reached, broke the connection, or answered with a server error.',
  },
  backend_overloaded: { transient: true, meaning: 'The backend has no free slot (429, or 503 with Retry-After).' },
  backend_timeout: { transient: true, meaning: 'The backend did not answer in the time that the step had left.' },
  backend_refused: { transient: false, meaning: 'The backend rejected the request itself (a 4xx other than 429).' },
  context_exceeded: { transient: false, meaning: "Prompt and answer do not fit into the model's context." },
  access_denied: {
    transient: false,
    meaning: 'The key is missing, wrong, or not allowed to use the model (401, 403).',
  },
  quota_exhausted: {
    transient: false,
    meaning: "The provider's account has no money left (402, insufficient_quota); it is left alone for a while.",
  },
  limit_too_small: {
    transient: false,
    meaning: "One call may need more than the policy's limits of the provider allow in a minute. Nothing was sent.",
  },
  no_recorded_answer: {
    transient: false,
    meaning: 'A replay serves recorded answers, and the step got none from this model when it was recorded.',
  },
  breaker_open: { transient: true, meaning: 'The provider failed too often of late and is left alone for a while.' },
  budget_exhausted: {
    transient: false,
    meaning: 'A call of the attempt may have been billed and its answer is lost; the budget bears no other.',
  },
  constraint_violated: {
    transient: false,
    meaning:
      'The worker found no place that the step may go to: the policy changed after the decision. Nothing was sent.',
  },
  cancelled: {
    transient: false,
    meaning: 'An operator cancelled the step after a call that brought no answer. Nothing more was sent.',
  },
} as const satisfies Record<string, VerdictInfo>

export type Verdict = keyof typeof verdicts
export const verdictCodes = Object.keys(verdicts) as Verdict[]

/** True when another call to the same model is worth making. */
export function isTransientVerdict(verdict: Verdict): boolean {
  return verdicts[verdict].transient
}

/** True where an answer passed whatever could be checked, and something could not. */
export function isUnverifiable(verdict: Verdict): boolean {
  const info: VerdictInfo = verdicts[verdict]
  return info.unverifiable === true
}
