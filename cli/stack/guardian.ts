import { spawn } from 'node:child_process'
import { removeRunDirectory } from './run-directory.ts'

// Run as a process of its own, this ends a run's processes when their owner is gone without having done it: its stdin
// is a pipe of the owner's, and the kernel closes that however the owner ends.

/** Watches over a run's directory until this process ends. */
export function startGuardian(runDirectory: string): void {
  const child = spawn(process.execPath, [import.meta.filename, runDirectory], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  child.unref()
  // The pipe stays open without keeping this process alive; it is closed by the kernel alone.
  ;(child.stdin as unknown as { unref(): void }).unref()
  child.stdin.on('error', () => {})
}

if (import.meta.main) {
  const [runDirectory] = process.argv.slice(2)
  if (runDirectory === undefined) throw new Error('usage: guardian.ts RUN_DIRECTORY')
  process.stdin.resume().once('close', () => {
    removeRunDirectory(runDirectory).catch(() => process.exit(1))
  })
}
