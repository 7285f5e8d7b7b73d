import { idsOf } from '#lib/events/step-error'
import type { AgentStep, Attempt, DecisionOutcome, StepResult, StepStatus } from '#lib/events/types.generated'
import type { Logger } from './logger.ts'

type Ids = Pick<AgentStep, 'tenantId' | 'stepId' | 'taskId'>

/**
 * A line for each thing that happens to a step, with its ids. What goes as it should is told at `debug`: at thousands of
 * steps a second the lines would cost more than the work. What ends a step otherwise, or sends it back, is told at `info`.
 * No line holds text of a prompt or an answer, nor a message of a model's server, which may quote one.
 */
export interface StepLog {
  decided(step: Ids, attempt: number, outcome: DecisionOutcome): void
  /** `attempt` is null where nothing was tried; `status` where the step did not end but is decided again. */
  concluded(step: Ids, attempt: Attempt | null, status: StepStatus | null): void
  /** A record that could not be handled ended its step. */
  rejected(result: StepResult): void
}

export function createStepLog(log: Pick<Logger, 'debug' | 'info'>): StepLog {
  return {
    decided(step, attempt, { action, code, tier, model, reasons }) {
      const level = action === 'route' ? 'debug' : 'info'
      log[level]({ ...idsOf(step), attempt, action, code, tier, model, reasons }, 'step decided')
    },
    concluded(step, attempt, status) {
      const level = status === 'completed' ? 'debug' : 'info'
      const { attempt: number = null, tier, model, backend, verdict } = attempt ?? {}
      log[level]({ ...idsOf(step), attempt: number, tier, model, backend, verdict, status }, 'step concluded')
    },
    rejected(result) {
      const { status, code, origin } = result
      log.info({ ...idsOf(result), status, code, origin }, 'step rejected')
    },
  }
}
