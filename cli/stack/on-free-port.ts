import { ShuntError } from '#lib/errors'
import { freePort, isPortFree } from './ports.ts'

export interface PortChoice {
  /** This one or an error. */
  port?: number | undefined
  /** This one if it is free, otherwise any. */
  preferredPort?: number | undefined
}

const TRIES = 3

/** Starts something on a port; when another process takes a port that was free, it is started on the next. */
export async function onFreePort<T>(
  what: string,
  { port, preferredPort }: PortChoice,
  start: (port: number) => Promise<T>,
): Promise<T> {
  if (port !== undefined) {
    if (!(await isPortFree(port)))
      throw new ShuntError(
        'SHUNT_SETUP_FAILED',
        `${what}: port ${port} is in use; stop what listens there or name another`,
      )
    return start(port)
  }
  for (let tries = 1; ; tries++) {
    const candidate = await freePort(tries === 1 ? preferredPort : undefined)
    try {
      return await start(candidate)
    } catch (error) {
      if (tries === TRIES || (await isPortFree(candidate))) throw error
    }
  }
}
