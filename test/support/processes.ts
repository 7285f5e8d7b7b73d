import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Processes other than this one whose environment holds the text. Linux only: elsewhere none are found. */
export function processesWith(text: string): string[] {
  if (process.platform !== 'linux') return []
  return readdirSync('/proc', { withFileTypes: true })
    .map(({ name }) => name)
    .filter((pid) => /^\d+$/.test(pid) && pid !== String(process.pid) && environmentOf(pid).includes(text))
}

function environmentOf(pid: string): string {
  try {
    return readFileSync(join('/proc', pid, 'environ'), 'latin1')
  } catch {
    return ''
  }
}
