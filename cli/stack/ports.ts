import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'
import { ShuntError } from '#lib/errors'

/**
 * Below what operating systems hand out to outgoing connections (32768 on Linux, 49152 elsewhere): a port from there
 * can be taken by any connection in the seconds that a JVM needs before it listens.
 */
const FIRST_PORT = 20_000
const LAST_PORT = 32_000

export function isPortFree(port: number, host = '127.0.0.1'): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(true)))
  })
}

/** A free port of this machine's loopback; `preferred` where that one is free. */
export async function freePort(preferred?: number): Promise<number> {
  if (preferred !== undefined && (await isPortFree(preferred))) return preferred
  for (let tries = 0; tries < 100; tries++) {
    const port = randomInt(FIRST_PORT, LAST_PORT)
    if (await isPortFree(port)) return port
  }
  throw new ShuntError('SHUNT_SETUP_FAILED', `no free port found between ${FIRST_PORT} and ${LAST_PORT}`)
}
