import { createInterface } from 'node:readline/promises'
import { ShuntError } from '#lib/errors'
import type { CliContext } from './context.ts'
import { printable } from './output.ts'

/** Asks a person whether to go on. Throws SHUNT_ORDER_INVALID where the answer is no. */
export async function askConsent(
  { stdin, stderr, signal }: Pick<CliContext, 'stdin' | 'stderr' | 'signal'>,
  effect: readonly string[],
): Promise<void> {
  const asking = createInterface({ input: stdin, output: stderr })
  try {
    const answer = await asking.question(`${effect.map(printable).join('\n')}\nGo on? [y/N] `, { signal })
    if (!/^y(es)?$/i.test(answer.trim())) throw new ShuntError('SHUNT_ORDER_INVALID', 'the order was not given')
  } finally {
    asking.close()
  }
}

/** Whether there is a person to ask. */
export function isAttended({ stdin, stderr }: Pick<CliContext, 'stdin' | 'stderr'>): boolean {
  return stdin.isTTY && stderr.isTTY === true
}
