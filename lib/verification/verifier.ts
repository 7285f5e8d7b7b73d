import type { ChatCompletion } from 'openai/resources/chat'
import { isUnverifiable } from '#lib/models/verdicts'
import { checkStructure, type SchemaClaim } from './check-structure.ts'
import { confidencePpm } from './confidence.ts'
import { isLabel } from './labels.ts'
import { isRefusal } from './refusal.ts'
import type { SchemaProcess } from './schema-process.ts'
import { failed, ok, type AnswerableRequest, type Verification } from './verification.ts'

/** What is asked of an answer beside what its request says. */
export interface Expectations {
  /** A text must be one of these. */
  labels?: readonly string[] | null
  /** Of the answer's log-probabilities, where the backend tells any. @default 0 */
  minConfidencePpm?: number
  /** Whether a text that only refuses is no answer. @default false */
  refusalIsFailure?: boolean
  /** Only its structure counts: the stand-in's answer, which is none. @default false */
  structureOnly?: boolean
}

export interface VerifiedAnswer extends Verification {
  /** null where the backend told no log-probabilities. */
  confidencePpm: number | null
}

export interface Verifier {
  /** Whatever a backend sends gets a verdict. Rejects only where the schemas' process was closed. */
  verify(request: AnswerableRequest, completion: ChatCompletion, expectations?: Expectations): Promise<VerifiedAnswer>
}

/**
 * Holds an answer against its request: first what costs nothing, then the schemas. An answer fails for the first thing
 * that is wrong with it; only one with which nothing is wrong gets a verdict on what could not be checked.
 */
export function createVerifier(schemas: Pick<SchemaProcess, 'check'>): Verifier {
  async function judge(
    request: AnswerableRequest,
    completion: ChatCompletion,
    expectations: Expectations,
    confidence: number | null,
  ): Promise<Verification> {
    const form = checkStructure(request, completion)
    if ('verdict' in form) return form
    if (expectations.structureOnly) return ok
    const { plainText, claims } = form
    if (plainText !== null && expectations.refusalIsFailure && isRefusal(plainText, request))
      return failed('refused', 'the text is a refusal and nothing else')
    if (plainText !== null && expectations.labels && !isLabel(plainText, expectations.labels))
      return failed('label_unknown', `the answer is none of the ${expectations.labels.length} labels`)
    const fit = await checkClaims(claims)
    const { minConfidencePpm = 0 } = expectations
    const isSure = confidence === null || confidence >= minConfidencePpm
    if (isSure || (fit.verdict !== 'ok' && !isUnverifiable(fit.verdict))) return fit
    return failed('low_confidence_answer', `confidence ${confidence} ppm, asked ${minConfidencePpm}`)
  }

  async function checkClaims(claims: readonly SchemaClaim[]): Promise<Verification> {
    const checked = await Promise.all(
      claims.map(async (claim) => ({ claim, found: await schemas.check(claim.schema, claim.json) })),
    )
    let unverifiable: Verification | undefined
    for (const { claim, found } of checked)
      switch (found.kind) {
        case 'fits':
          break
        case 'differs':
          return failed(claim.verdict, `${claim.place}: ${found.why}`)
        case 'unusable':
          unverifiable ??= failed('schema_unusable', `the schema of ${claim.place}: ${found.why}`)
          break
        case 'exhausted':
          unverifiable ??= failed('verification_timeout', `the schema of ${claim.place}: ${found.why}`)
      }
    return unverifiable ?? ok
  }

  return {
    async verify(request, completion, expectations = {}) {
      const confidence = expectations.structureOnly ? null : confidencePpm(completion)
      return { ...(await judge(request, completion, expectations, confidence)), confidencePpm: confidence }
    },
  }
}
