import type { Command } from 'commander'
import { createKeyFile, keyMadeAtMs, listKeyFiles, listKeyTenants, type KeyFile } from '#lib/erasure/key-files'
import { ShuntError } from '#lib/errors'
import { isTenantId } from '#lib/events/ids'
import { connectionOf, type AddCommand, type CliContext } from '../context.ts'
import { formatTable, formatTime, printable, writeJson, writeLines } from '../output.ts'

interface KeysFlags {
  tenant: string
  json?: true
}

export const addKeysCommand: AddCommand = (program, run) => {
  const keys = program
    .command('keys')
    .description("data keys that tenants' texts are sealed with, in the directory SHUNT_DATA_KEYS")
  tenantCommand(keys, 'create', "make a tenant's first key").action(
    run((context, flags: KeysFlags) => makeKey(context, keys, flags, 'create')),
  )
  tenantCommand(
    keys,
    'rotate',
    'make a further key: what comes is sealed with it, what is there stays readable',
  ).action(run((context, flags: KeysFlags) => makeKey(context, keys, flags, 'rotate')))
  keys
    .command('list')
    .description('ids of the keys, never the keys')
    .option('--tenant <id>', 'of one tenant')
    .option('--json', 'print them as JSON')
    .action(
      run(async (context, flags: Partial<KeysFlags>) => {
        const dir = keysDirOf(context)
        const tenants = (await listKeyTenants(dir)).filter((id) => flags.tenant === undefined || id === flags.tenant)
        const rows = await Promise.all(
          tenants.map(async (tenantId) => ({ tenantId, keys: await listKeyFiles(dir, tenantId) })),
        )
        if (flags.json) writeJson(context, rows.map(toJson))
        else writeLines(context, formatTable(columns, rows.flatMap(toRows)).map(printable))
      }),
    )
}

/** Throws SHUNT_CONFIG_INVALID where none is configured. */
export function keysDirOf(context: CliContext): string {
  const { dataKeysDir } = connectionOf(context).config
  if (dataKeysDir === null)
    throw new ShuntError('SHUNT_CONFIG_INVALID', 'set SHUNT_DATA_KEYS to the directory of the data keys')
  return dataKeysDir
}

function tenantCommand(keys: Command, name: string, description: string): Command {
  return keys
    .command(name)
    .description(description)
    .requiredOption('--tenant <id>', 'whose, as in the policy')
    .option('--json', 'print its id as JSON')
}

async function makeKey(
  context: CliContext,
  command: Command,
  { tenant: tenantId, json }: KeysFlags,
  how: 'create' | 'rotate',
): Promise<void> {
  if (!isTenantId(tenantId)) command.error(`error: ${printable(tenantId)} is no id of a tenant`)
  const dir = keysDirOf(context)
  // A directory that is not there yet is what `create` is for.
  const there = await listKeyFiles(dir, tenantId).catch((error: unknown) => {
    if (how === 'create') return []
    throw error
  })
  if (how === 'create' && there.length > 0)
    throw new ShuntError('SHUNT_CONFIG_INVALID', `tenant ${tenantId} has a key: \`shunt keys rotate\` makes another`)
  if (how === 'rotate' && there.length === 0)
    throw new ShuntError('SHUNT_CONFIG_INVALID', `tenant ${tenantId} has no key: \`shunt keys create\` makes one`)
  const { keyId, path } = await createKeyFile(dir, tenantId, Date.now())
  if (json) writeJson(context, { tenantId, keyId, path })
  else
    writeLines(
      context,
      [
        `key ${keyId} of tenant ${tenantId} is in ${path}`,
        how === 'create'
          ? 'publishers that read this directory seal with it within 10 s; let all services have it first'
          : 'publishers and workers seal with it in 2 min: by then every process must have it',
        'back it up apart from Kafka: whoever loses it has erased the texts, and whoever erases deletes the backup too',
      ].map(printable),
    )
}

interface Row {
  tenantId: string
  key: KeyFile | null
}

const columns = [
  { title: 'tenant', value: ({ tenantId }: Row) => tenantId },
  { title: 'key', value: ({ key }: Row) => key?.keyId ?? '(none: erased)' },
  { title: 'made', value: ({ key }: Row) => (key === null ? '' : madeAt(key)) },
]

/** A tenant's directory without a key is one whose keys were deleted. */
function toRows({ tenantId, keys }: { tenantId: string; keys: readonly KeyFile[] }): Row[] {
  return keys.length === 0 ? [{ tenantId, key: null }] : keys.map((key) => ({ tenantId, key }))
}

function madeAt({ keyId }: KeyFile): string {
  const atMs = keyMadeAtMs(keyId)
  return atMs === null ? '' : formatTime(atMs)
}

function toJson({ tenantId, keys }: { tenantId: string; keys: readonly KeyFile[] }): object {
  return { tenantId, keys: keys.map(({ keyId }) => ({ keyId, madeAtMs: keyMadeAtMs(keyId) })) }
}
