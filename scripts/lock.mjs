import { createHash } from 'node:crypto'
import { rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

// Plain JavaScript: bootstrap.mjs needs it before Node 24 is there.

/**
 * Holds the lock of a name on this machine until `release()` or the end of the process; waits while another holds it.
 * The lock is a listening socket, so the kernel releases it however its holder ends and it can never be stale.
 * Refused: a file with a pid in it, since a reused pid keeps such a lock for ever.
 */
export async function acquireLock(name, onWait = () => {}) {
  const path = lockPath(name)
  for (let waited = false; ; waited = true) {
    const server = await listen(path)
    if (server) return { release: () => new Promise((resolve) => server.close(resolve)) }
    if (!waited) onWait()
    await untilHolderEnds(path)
  }
}

function lockPath(name) {
  const digest = createHash('sha256').update(name).digest('hex').slice(0, 24)
  if (process.platform === 'linux') return `\0shunt-${digest}`
  return join(tmpdir(), `shunt-${digest}.sock`)
}

/** The server, or undefined where another process listens. */
function listen(path) {
  return new Promise((resolve, reject) => {
    const holding = new Set()
    const server = createServer((socket) => {
      holding.add(socket)
      socket.on('error', () => {}).on('close', () => holding.delete(socket))
    })
    server.on('close', () => {
      for (const socket of holding) socket.destroy()
    })
    const close = server.close.bind(server)
    // A server closes once its connections have: those that wait for the lock must not hold it.
    server.close = (done) => {
      close(done)
      for (const socket of holding) socket.destroy()
      return server
    }
    server.once('error', (error) => (error.code === 'EADDRINUSE' ? resolve(undefined) : reject(error)))
    server.listen(path, () => {
      server.unref()
      resolve(server)
    })
  })
}

function untilHolderEnds(path) {
  return new Promise((resolve) => {
    const socket = connect(path)
    socket.resume()
    socket.on('error', (error) => {
      // Only a socket file outlives its process; nobody listens behind it.
      if (error.code === 'ECONNREFUSED' && !path.startsWith('\0')) rmSync(path, { force: true })
    })
    socket.on('close', () => resolve())
  })
}
