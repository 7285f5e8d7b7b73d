import { randomBytes } from 'node:crypto'
import { mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { ShuntError } from '#lib/errors'
import { isTenantId } from '#lib/events/ids'

/**
 * Data keys as files: `DIR/<tenantId>/<keyId>.key`, each 256 bits as base64url. Why files, and not a topic or Redis? What
 * was once in a log or a database lies in its backups too, and a key has to be deleted from everywhere. A directory is
 * also what a Kubernetes secret, a Vault agent and a volume have in common. A tenant's id is fit for a file's name by its
 * form (lib/events/ids.ts); file systems that do not tell upper from lower case would take two tenants for one.
 */

const suffix = '.key'
const keyBytes = 32
/** No dot and no separator: the id comes from a ciphertext's header and becomes a path. */
const keyIdForm = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/
const idBytes = 4

/** A key of the file system, not yet read. */
export interface KeyFile {
  tenantId: string
  keyId: string
  path: string
}

/** `20261125T114700Z-9f3a61c2`: in order of age by name, since the times of mounted files tell nothing. */
export function newKeyId(nowMs: number): string {
  const time = new Date(nowMs).toISOString().replaceAll(/[-:]|\.\d+/g, '')
  return `${time}-${randomBytes(idBytes).toString('hex')}`
}

/** When a key was made, by its id; null for an id of another form. */
export function keyMadeAtMs(keyId: string): number | null {
  const [, y, mo, d, h, mi, s] = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z-/.exec(keyId) ?? []
  return y === undefined ? null : Date.UTC(Number(y), Number(mo) - 1, Number(d), Number(h), Number(mi), Number(s))
}

/**
 * A tenant's keys, oldest first; none where it has no directory. Throws SHUNT_DATA_KEYS_UNAVAILABLE where the directory of
 * all cannot be read or holds nothing: a volume that is not mounted must not look like tenants whose keys were deleted.
 */
export async function listKeyFiles(dir: string, tenantId: string): Promise<KeyFile[]> {
  if (!isTenantId(tenantId)) return []
  const names = await readdirOrNull(join(dir, tenantId))
  if (names === null) {
    await demandMounted(dir)
    return []
  }
  return names
    .filter((name) => name.endsWith(suffix))
    .map((name) => name.slice(0, -suffix.length))
    .filter((keyId) => keyIdForm.test(keyId))
    .toSorted()
    .map((keyId) => ({ tenantId, keyId, path: pathOf(dir, tenantId, keyId) }))
}

/** Tenants that have keys or had some: the directory of one whose keys were deleted stays, empty. */
export async function listKeyTenants(dir: string): Promise<string[]> {
  return (await demandMounted(dir, true)).filter((name) => isTenantId(name)).toSorted()
}

/** Throws SHUNT_DATA_KEYS_UNAVAILABLE for a file that is damaged, or that everybody may read. */
export async function readKeyFile({ path }: KeyFile): Promise<Buffer> {
  const { mode } = await stat(path)
  if ((mode & 0o007) !== 0)
    throw unavailable(`every user of the machine may use ${path}: chmod 600 it, or 640 where services share a group`)
  const text = (await readFile(path, 'utf8')).trim()
  const bytes = Buffer.from(text, 'base64url')
  if (bytes.length !== keyBytes || bytes.toString('base64url') !== text)
    throw unavailable(`${path} is no data key: it must hold ${keyBytes} bytes as base64url, without padding`)
  return bytes
}

/**
 * Owner-only, whole under its name from the first, and durable before anything is sealed with it. Makes the directory where
 * there is none.
 */
export async function createKeyFile(dir: string, tenantId: string, nowMs: number): Promise<KeyFile> {
  const keyId = newKeyId(nowMs)
  const path = pathOf(dir, tenantId, keyId)
  const unfinished = `${path}.new`
  try {
    const made = await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    await writeFile(unfinished, `${randomBytes(keyBytes).toString('base64url')}\n`, {
      mode: 0o600,
      flag: 'wx',
      flush: true,
    })
    await rename(unfinished, path)
    await syncDirectory(dirname(path))
    if (made !== undefined) await Promise.all([dir, dirname(made)].map(syncDirectory))
  } catch (cause) {
    throw unwritable(path, cause)
  }
  return { tenantId, keyId, path }
}

/** The directory stays, as the sign that there were keys. A power cut does not bring the file back. */
export async function deleteKeyFile({ path }: KeyFile): Promise<void> {
  try {
    // Gone already is as good.
    await rm(path, { force: true })
    await syncDirectory(dirname(path))
  } catch (cause) {
    throw unwritable(path, cause)
  }
}

/** What was made, renamed or removed in it is so after a power cut too, where the file system can promise that. */
async function syncDirectory(path: string): Promise<void> {
  try {
    await using directory = await open(path)
    await directory.sync()
  } catch (cause) {
    if (!unsyncable.has((cause as NodeJS.ErrnoException).code ?? '')) throw cause
  }
}

/** It is gone itself, or the file system syncs no directories. */
const unsyncable: ReadonlySet<string> = new Set(['ENOENT', 'EINVAL', 'ENOTSUP'])

/** What it holds. Throws SHUNT_DATA_KEYS_UNAVAILABLE. */
export async function demandMounted(dir: string, mayBeEmpty = false): Promise<string[]> {
  const names = await readdirOrNull(dir)
  if (names === null)
    throw unavailable(`there is no directory ${dir}: mount it, or make a key with \`shunt keys create\``)
  if (names.length === 0 && !mayBeEmpty)
    throw unavailable(`${dir} is empty: mount the data keys there, or make one with \`shunt keys create\``)
  return names
}

async function readdirOrNull(dir: string): Promise<string[] | null> {
  try {
    return await readdir(dir)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw unavailable(`data keys cannot be read: ${message(cause)}`, cause)
  }
}

export function unavailable(problem: string, cause?: unknown): ShuntError {
  return new ShuntError('SHUNT_DATA_KEYS_UNAVAILABLE', problem, { retryable: true, cause })
}

function pathOf(dir: string, tenantId: string, keyId: string): string {
  return join(dir, tenantId, `${keyId}${suffix}`)
}

function unwritable(path: string, cause: unknown): ShuntError {
  return new ShuntError(
    'SHUNT_CONFIG_INVALID',
    `${path} cannot be changed (${message(cause)}): where the directory is mounted read-only, do it at its source`,
    { cause },
  )
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
