import { generateKeyPairSync } from 'node:crypto'
import { rm, writeFile } from 'node:fs/promises'
import { keyIdOf } from '#lib/audit/anchors'
import { ShuntError } from '#lib/errors'
import type { AddCommand } from '../context.ts'
import { writeLines } from '../output.ts'

export const addAuditKeygenCommand: AddCommand = (audit, run) => {
  audit
    .command('keygen')
    .description('a pair of keys (Ed25519, PEM) to sign anchors with, and to verify them')
    .requiredOption('--out <file>', 'the private key; the public one goes to FILE.pub')
    .action(
      run(async (context, { out }: { out: string }) => {
        const { privateKey, publicKey } = generateKeyPairSync('ed25519')
        // Never over a key that is there: what it signed could not be verified any more.
        const pem = privateKey.export({ type: 'pkcs8', format: 'pem' })
        await writeNew(out, pem, 0o600)
        await writeNew(`${out}.pub`, publicKey.export({ type: 'spki', format: 'pem' }), 0o644).catch(async (error) => {
          await rm(out)
          throw error
        })
        writeLines(context, [
          `private key in ${out}: it belongs to who anchors, and to nobody who can write the log`,
          `public key ${keyIdOf(publicKey).slice(0, 16)} in ${out}.pub: give it to who verifies`,
        ])
      }),
    )
}

async function writeNew(file: string, pem: string | Buffer, mode: number): Promise<void> {
  try {
    await writeFile(file, pem, { mode, flag: 'wx' })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    throw new ShuntError('SHUNT_CONFIG_INVALID', `${file} is there already, and is not written over: name another file`)
  }
}
