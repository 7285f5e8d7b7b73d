import { open, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { ShuntError } from '#lib/errors'

/** Grows when a reader of this release could no longer read what is written. New fields and tables do not count. */
export const manifestVersion = 1
export const manifestName = 'manifest.json'

const wholeNumber = z.int().nonnegative()
const hex = z.string().regex(/^[0-9a-f]{64}$/)

const manifestSchema = z.object({
  version: z.literal(manifestVersion),
  /** `shunt 0.6.0`. */
  createdBy: z.string(),
  createdAt: z.string(),
  namespace: z.string(),
  /** What was read, for messages: `prod.agent.audit`. */
  source: z.string(),
  range: z.object({
    /** As it was asked for, epoch ms; null where it was not. */
    sinceMs: z.number().nullable(),
    untilMs: z.number().nullable(),
    /** Of agent.audit: what was read of each partition, `until` exclusive. */
    offsets: z.array(z.object({ partition: wholeNumber, from: wholeNumber, until: wholeNumber.nullable() })),
  }),
  /** What was found in each partition of agent.audit. */
  partitions: z.array(
    z.object({ partition: wholeNumber, firstOffset: wholeNumber, lastOffset: wholeNumber, records: wholeNumber }),
  ),
  chains: z.array(
    z.object({
      chainId: z.string(),
      partition: wholeNumber,
      first: z.object({ offset: wholeNumber, epoch: wholeNumber, seq: wholeNumber, prevHash: z.string() }),
      last: z.object({ offset: wholeNumber, epoch: wholeNumber, seq: wholeNumber, hash: hex }),
    }),
  ),
  /** Rows by table. */
  rows: z.record(z.string(), wholeNumber),
  /** Records of agent.audit that are no AuditRecord; their bytes are in the column `value`. */
  undecodable: wholeNumber,
  /** Records whose body could not be decoded: in the table of the log alone, with the body as it is. */
  undecodableBodies: wholeNumber,
  /** Avro schemas that bodies were written in, by the id in their bytes 1 to 4. */
  schemas: z.record(z.string().regex(/^\d+$/), z.unknown()),
  files: z.array(
    z.object({
      path: z.string().regex(/^[a-z]+\/[\w-]+\.parquet$/),
      rows: wholeNumber,
      bytes: wholeNumber,
      sha256: hex,
    }),
  ),
})
export type Manifest = z.infer<typeof manifestSchema>

/** Written last, and whole or not at all: a directory without one is no export. */
export async function writeManifest(dir: string, manifest: Manifest): Promise<void> {
  const temporary = join(dir, `.${manifestName}.tmp`)
  {
    await using file = await open(temporary, 'wx')
    await file.writeFile(`${JSON.stringify(manifest, null, 2)}\n`)
    await file.sync()
  }
  await rename(temporary, join(dir, manifestName))
  await using directory = await open(dir)
  await directory.sync()
}

/** Throws SHUNT_EXPORT_DAMAGED, or SHUNT_CONFIG_INVALID where the directory holds no export that this release can read. */
export async function readManifest(dir: string): Promise<Manifest> {
  const path = join(dir, manifestName)
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    throw new ShuntError(
      'SHUNT_CONFIG_INVALID',
      `${dir} is no export: it has no ${manifestName}, which is written last. Name a directory that \`shunt audit export --out DIR\` finished`,
      { cause: error },
    )
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw damaged(path, 'it is not JSON', error)
  }
  const version = (value as { version?: unknown } | null)?.version
  if (typeof version === 'number' && version > manifestVersion)
    throw new ShuntError(
      'SHUNT_CONFIG_INVALID',
      `${path}: version ${version}, and this release reads ${manifestVersion}: use the release that wrote it or a later one`,
    )
  const read = manifestSchema.safeParse(value)
  if (read.success) return read.data
  const [issue] = read.error.issues
  throw damaged(path, `${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`, read.error)
}

/** `path` with the directory, as a person finds it. */
export function damaged(path: string, problem: string, cause?: unknown): ShuntError {
  return new ShuntError(
    'SHUNT_EXPORT_DAMAGED',
    `${path}: ${problem}. Bring back the copy that fits the manifest, or export the range again`,
    { cause },
  )
}
