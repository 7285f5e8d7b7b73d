import { hash } from 'node:crypto'

/** A backend as the choice looks at it. */
export interface Loaded {
  id: string
  inFlight: number
  maxInFlight: number
}

/** How much fuller than the emptiest one a task's own backend may be, as a share of its slots. */
const affinitySlack = 0.25

/**
 * The backend for a task's next call, of those with a free slot: the one where the task's prompts are likely to be
 * cached, unless it is much fuller than the emptiest. Rendezvous hashing: a backend that comes or goes moves only its
 * own tasks.
 */
export function chooseBackend<B extends Loaded>(backends: readonly B[], taskId: string): B | undefined {
  const free = backends.filter((backend) => backend.inFlight < backend.maxInFlight)
  if (free.length < 2) return free[0]
  const least = Math.min(...free.map(loadOf))
  return free
    .filter((backend) => loadOf(backend) <= least + affinitySlack)
    .map((backend) => ({ backend, weight: weightOf(taskId, backend.id) }))
    .reduce((best, other) => (other.weight > best.weight ? other : best)).backend
}

function loadOf(backend: Loaded): number {
  return backend.inFlight / backend.maxInFlight
}

function weightOf(taskId: string, backendId: string): number {
  return hash('sha256', `${taskId}\n${backendId}`, 'buffer').readUIntBE(0, 6)
}
