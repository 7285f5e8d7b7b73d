import type { ControlOrder } from '#lib/events/types.generated'
import { HeldError, holdFor } from '#lib/stream/held-error'
import type { Logger } from '#lib/telemetry/logger'
import { readOrder, type OperatorOrder } from './orders.ts'
import { standingOf, type OrderedStep, type Standing } from './standing.ts'

/** Operators' orders as far as this process has read agent.control: pauses and cancels that stand. */
export interface OrdersInForce {
  /** Takes up an order; one that cannot be followed is logged and leaves what stood. Never throws. */
  take(order: ControlOrder): void
  list(): OperatorOrder[]
  standing(step: OrderedStep): Standing
  /** The orders for one step, which is given up to wait until `untilMs` where one pauses it. */
  of(step: OrderedStep, untilMs: number): StepOrders
}

/** The orders as they concern one step; asked right before anything is spent on it. */
export interface StepOrders {
  standing(): Standing
  /** To be thrown for a step that is paused: its record is handled again when it no longer is, or at its deadline. */
  held(): HeldError
}

export function createOrdersInForce(deps: { nowMs: () => number; log: Pick<Logger, 'info' | 'error'> }): OrdersInForce {
  const orders = new Map<string, OperatorOrder>()
  const listeners = new Set<() => void>()

  function take(given: ControlOrder): void {
    const { name, orderId, actor, reason } = given
    try {
      const order = readOrder(given)
      if (!order) return
      if (order.stands) orders.set(name, order)
      else orders.delete(name)
      deps.log.info({ order: name, orderId, actor, reason, stands: order.stands }, "operator's order in force")
      // Of those that it sets free each takes itself out.
      for (const listener of listeners) listener()
    } catch (err) {
      deps.log.error({ order: name, orderId, err }, "an operator's order is not followed")
    }
  }

  const standing = (step: OrderedStep): Standing => standingOf(orders, step)

  /** Until no order pauses the step, or its deadline. */
  function hold(step: OrderedStep, untilMs: number, again: () => void): () => void {
    const wake = () => {
      stop()
      again()
    }
    const listener = () => {
      if (standing(step).is !== 'paused') wake()
    }
    // An order may have come since the step was found to be paused.
    const waitMs = standing(step).is === 'paused' ? untilMs - deps.nowMs() : 0
    const stopTimer = holdFor(waitMs)(wake)
    const stop = () => {
      stopTimer()
      listeners.delete(listener)
    }
    listeners.add(listener)
    return stop
  }

  return {
    take,
    list: () => [...orders.values()],
    standing,
    of: (step, untilMs) => ({
      standing: () => standing(step),
      held() {
        const found = standing(step)
        const why =
          found.is === 'paused' ? `${found.by.name} by ${found.by.actor}: ${found.by.reason}` : 'it was paused'
        return new HeldError('SHUNT_PAUSED', `the step waits: ${why}`, (again) => hold(step, untilMs, again))
      },
    }),
  }
}
