import { ShuntError, type ErrorCode } from '#lib/errors'

/** Who a rejected step belongs to: enough for a result. Only ids of a valid form; taskId where it could be read. */
export interface StepIds {
  tenantId: string
  stepId: string
  taskId?: string
}

export function idsOf({ tenantId, stepId, taskId }: Required<StepIds>): StepIds {
  return { tenantId, stepId, taskId }
}

/** A step that is rejected: its record is dead-lettered, and it gets a `rejected` result where `ids` are known. */
export class StepParseError extends ShuntError {
  readonly ids: StepIds | undefined
  constructor(code: ErrorCode, message: string, ids: StepIds | undefined, cause?: unknown) {
    super(code, message, { cause })
    this.name = 'StepParseError'
    this.ids = ids
  }
}
