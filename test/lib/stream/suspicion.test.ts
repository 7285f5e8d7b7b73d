import { describe, expect, test, vi } from 'vitest'
import type { LaneMemory, PoisonMemory } from '#lib/stream/poison'
import { createSuspicion, createTurn } from '#lib/stream/suspicion'

const log = { warn() {}, error() {} }

function suspicionOf(known: LaneMemory | Error, turn = createTurn()) {
  const memory = {
    opened: vi.fn<PoisonMemory['opened']>(() =>
      known instanceof Error ? Promise.reject(known) : Promise.resolve(known),
    ),
    progressed: vi.fn<PoisonMemory['progressed']>(() => Promise.resolve()),
    marked: vi.fn<PoisonMemory['marked']>(() => Promise.resolve()),
    cleared: vi.fn<PoisonMemory['cleared']>(() => Promise.resolve()),
    closed: vi.fn<PoisonMemory['closed']>(() => Promise.resolve()),
  }
  const suspicion = createSuspicion({ memory, turn, log }, { lane: 'g/t/0', owner: 'me', windowRecords: 10 })
  return { suspicion, memory }
}

const progress = { low: 100, upTo: 130, incomplete: [120] }
const innocent = new Map<number, number>()

describe('suspicion', () => {
  test('one unclean end is forgiven by the first record done', async () => {
    const { suspicion, memory } = suspicionOf({ uncleanEnds: 1, deaths: innocent })
    await suspicion.opened(progress, 500)
    expect(suspicion.isSuspect()).toBe(false)
    suspicion.progressed(100)
    expect(memory.progressed).not.toHaveBeenCalled()
    suspicion.progressed(101)
    expect(memory.progressed).toHaveBeenCalledOnce()
  })

  test('after two the lane is suspect until all that may have run at the last death is done', async () => {
    const { suspicion } = suspicionOf({ uncleanEnds: 2, deaths: innocent })
    await suspicion.opened(progress, 500)
    suspicion.progressed(139)
    expect(suspicion.isSuspect()).toBe(true)
    suspicion.progressed(140)
    expect(suspicion.isSuspect()).toBe(false)
  })

  test('a lane with nothing to do is forgiven at once', async () => {
    const { suspicion, memory } = suspicionOf({ uncleanEnds: 5, deaths: innocent })
    await suspicion.opened({ low: 100, upTo: 100, incomplete: [] }, 100)
    expect(suspicion.isSuspect()).toBe(false)
    expect(memory.progressed).toHaveBeenCalledOnce()
  })

  test('of all suspect lanes of a process one has the turn, until its record is cleared', async () => {
    const turn = createTurn()
    const one = suspicionOf({ uncleanEnds: 2, deaths: innocent }, turn).suspicion
    const other = suspicionOf({ uncleanEnds: 2, deaths: innocent }, turn).suspicion
    expect([one.takeTurn(), other.takeTurn()]).toEqual([true, false])
    await one.clear(100)
    expect(other.takeTurn()).toBe(true)
  })

  test('the record that was alone at three deaths is refused, one at two is not', async () => {
    const { suspicion } = suspicionOf({
      uncleanEnds: 5,
      deaths: new Map([
        [120, 3],
        [100, 2],
      ]),
    })
    await suspicion.opened(progress, 500)
    expect(suspicion.refusal(120)).toMatchObject({ code: 'SHUNT_POISON' })
    expect(suspicion.refusal(100)).toBeNull()
  })

  test('a memory that is away keeps no lane from opening', async () => {
    const { suspicion } = suspicionOf(new Error('connection refused'))
    await suspicion.opened(progress, 500)
    expect(suspicion.isSuspect()).toBe(false)
  })

  test('a close waits for the opening under way, and tells which record it took along', async () => {
    const { suspicion, memory } = suspicionOf({ uncleanEnds: 2, deaths: innocent })
    const answer = Promise.withResolvers<LaneMemory>()
    memory.opened.mockReturnValueOnce(answer.promise)
    const opening = suspicion.opened(progress, 500)
    const closing = suspicion.closed()
    expect(memory.closed).not.toHaveBeenCalled()
    answer.resolve({ uncleanEnds: 2, deaths: innocent })
    await Promise.all([opening, closing])
    expect(memory.closed).toHaveBeenCalledExactlyOnceWith('g/t/0', 'me', null)
    await suspicion.mark(120, new AbortController().signal)
    await suspicion.closed()
    expect(memory.closed).toHaveBeenLastCalledWith('g/t/0', 'me', 120)
  })

  test('a lane that was never opened has nothing to close: another owns it', async () => {
    const { suspicion, memory } = suspicionOf({ uncleanEnds: 0, deaths: innocent })
    await suspicion.closed()
    expect(memory.closed).not.toHaveBeenCalled()
  })

  test('a lane that closes passes the turn only if it has it', async () => {
    const turn = createTurn()
    const one = suspicionOf({ uncleanEnds: 2, deaths: innocent }, turn).suspicion
    const other = suspicionOf({ uncleanEnds: 2, deaths: innocent }, turn).suspicion
    one.takeTurn()
    await other.closed()
    expect(other.takeTurn()).toBe(false)
    await one.closed()
    expect(other.takeTurn()).toBe(true)
  })
})
