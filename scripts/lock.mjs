import { createHash, randomBytes } from 'node:crypto'
import { linkSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'

// Plain JavaScript: bootstrap.mjs needs it before Node 24 is there.

/**
 * Holds the lock of a name, among the processes of one user on this machine, until `release()` or the end of the
 * process; waits while another holds it. The lock is a listening socket, so the kernel releases it however its holder
 * ends. Refused: a file with a pid in it, since a reused pid keeps such a lock for ever; an abstract socket, whose name
 * Node 18 ignores.
 *
 * A socket's file outlives its process. Nobody takes a dead one away to put his own in its place, since of two that do,
 * the slower takes the faster one's away. Instead the files are numbered: who finds the newest dead makes the next.
 */
export async function acquireLock(name, onWait = () => {}) {
  const dir = lockDir(name)
  let waited = false
  const onAlive = () => {
    if (!waited) onWait()
    waited = true
  }
  for (;;) {
    const newest = newestIn(dir)
    if (newest > 0 && !(await isDead(join(dir, String(newest)), onAlive))) continue
    const server = await listenAs(dir, newest + 1)
    if (server) return { release: () => new Promise((resolve) => server.close(resolve)) }
  }
}

/** Not in os.tmpdir(): two that want one lock may not agree on it, and macOS's is too long for a socket's path. */
function lockDir(name) {
  const digest = createHash('sha256').update(name).digest('hex').slice(0, 24)
  const dir = join('/tmp', `shunt-locks-${process.getuid?.() ?? 'user'}`, digest)
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  return dir
}

/** 0 where there is none. */
function newestIn(dir) {
  return Math.max(0, ...readdirSync(dir).map((file) => (/^\d+$/.test(file) ? Number(file) : 0)))
}

/** True where nobody listens; where somebody does, false once he has ended, or may have. */
function isDead(path, onAlive) {
  return new Promise((resolve) => {
    const socket = connect(path)
    socket.resume()
    socket.on('connect', onAlive)
    // Gone with its file: there is a newer one. Any other error: look again.
    socket.on('error', (error) => resolve(error.code === 'ECONNREFUSED'))
    socket.on('close', () => resolve(false))
  })
}

/** The server that holds the lock, or undefined where another process was faster. */
async function listenAs(dir, number) {
  const own = join(dir, `new-${randomBytes(4).toString('hex')}`)
  const server = createLockServer()
  await new Promise((resolve, reject) => server.once('error', reject).listen(own, resolve))
  server.unref()
  // It gets its number only now that it listens: before, it would look dead.
  if (link(own, join(dir, String(number)))) {
    if (newestIn(dir) === number) {
      for (const file of readdirSync(dir)) if (file !== String(number)) rmSync(join(dir, file), { force: true })
      return server
    }
    // The number was free because it is past: its file was cleaned up meanwhile.
    rmSync(join(dir, String(number)), { force: true })
  }
  await new Promise((resolve) => server.close(resolve))
  return undefined
}

/** False where the number is taken, or the one who took it has cleaned up. */
function link(from, to) {
  try {
    linkSync(from, to)
    return true
  } catch (error) {
    if (error.code === 'EEXIST' || error.code === 'ENOENT') return false
    throw error
  } finally {
    rmSync(from, { force: true })
  }
}

function createLockServer() {
  const holding = new Set()
  const server = createServer((socket) => {
    holding.add(socket)
    socket.on('error', () => {}).on('close', () => holding.delete(socket))
  })
  const close = server.close.bind(server)
  // A server closes once its connections have: those that wait for the lock must not hold it.
  server.close = (done) => {
    close(done)
    for (const socket of holding) socket.destroy()
    return server
  }
  return server
}
