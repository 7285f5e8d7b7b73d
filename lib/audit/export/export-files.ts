import { createHash } from 'node:crypto'
import { open, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { damaged, manifestName, type Manifest } from './manifest.ts'
import type { ExportFile } from './parquet-file.ts'
import { tableNames } from './tables.ts'

/**
 * Every file of the manifest is there with its size, and no other lies among them. Content is checked when a file is first
 * read: see `createFileCheck`. Throws SHUNT_EXPORT_DAMAGED.
 */
export async function checkPresence(dir: string, files: readonly ExportFile[]): Promise<void> {
  for (const { path, bytes } of files) {
    const found = await stat(join(dir, path)).catch(() => null)
    if (!found?.isFile()) throw damaged(join(dir, path), `${manifestName} names it, and it is not there`)
    if (found.size !== bytes)
      throw damaged(join(dir, path), `it has ${found.size} bytes, and ${manifestName} says ${bytes}`)
  }
  const named = new Set(files.map(({ path }) => path))
  for (const table of tableNames)
    for (const name of await readdir(join(dir, table)).catch(() => []))
      if (!named.has(`${table}/${name}`)) throw damaged(join(dir, table, name), `${manifestName} does not name it`)
}

/** Checks a file's sha256 once, before its first row is used. Throws SHUNT_EXPORT_DAMAGED, and the signal's reason. */
export function createFileCheck(dir: string): (file: ExportFile, signal?: AbortSignal) => Promise<void> {
  const checked = new Set<string>()
  return async ({ path, sha256 }, signal) => {
    if (checked.has(path)) return
    const found = await sha256Of(join(dir, path), signal)
    if (found !== sha256)
      throw damaged(join(dir, path), `its sha256 is ${found}, and ${manifestName} says ${sha256}: it was changed`)
    checked.add(path)
  }
}

/** Into one buffer again and again: a stream's chunks are freed much later than they are hashed. */
async function sha256Of(path: string, signal?: AbortSignal): Promise<string> {
  const hash = createHash('sha256')
  const buffer = Buffer.allocUnsafe(1024 * 1024)
  await using handle = await open(path)
  for (;;) {
    signal?.throwIfAborted()
    const { bytesRead } = await handle.read(buffer)
    if (bytesRead === 0) return hash.digest('hex')
    hash.update(buffer.subarray(0, bytesRead))
  }
}

/** Files of a table, in the order of its rows. */
export function filesOf({ files }: Manifest, table: string): ExportFile[] {
  return files.filter(({ path }) => path.startsWith(`${table}/`)).toSorted((a, b) => (a.path < b.path ? -1 : 1))
}

/** Files of the log by partition of agent.audit. */
export function auditFiles(manifest: Manifest): Map<number, ExportFile[]> {
  return Map.groupBy(filesOf(manifest, 'audit'), ({ path }) => Number(/^audit\/p(\d+)-/.exec(path)?.[1]))
}
