import { openKept } from '#lib/replay/open-kept'
import type { RequestOpener } from '#lib/replay/remake-facts'
import { openStepTexts, type StepTexts } from '#lib/replay/step-texts'
import { connectionOf, type CliContext } from './context.ts'

/** The steps' texts, which are in Kafka alone wherever the audit is read from; sealed ones open with the keys that are here. */
export interface KeptTexts extends AsyncDisposable {
  texts: StepTexts
  open: RequestOpener
}

export function openKeptTexts(context: CliContext): KeptTexts {
  const { config, kafka, log, keys } = connectionOf(context)
  const texts = openStepTexts({ kafka, log }, { namespace: config.namespace, signal: context.signal })
  return { texts, open: openKept(keys), [Symbol.asyncDispose]: () => texts[Symbol.asyncDispose]() }
}
