import type { Logger } from 'pino'
import { avroType } from '#lib/events/avro-type'
import { createCodecOver, type Codec, type CodecDeps } from '#lib/events/codec'
import { eventNames, subjectsIn } from '#lib/events/subjects'

const silent: Pick<Logger, 'warn'> = { warn: () => {} }

/** A registry in which this release's schemas are registered, with the ids 1, 2, 3 … in the order of eventNames. */
export function localRegistry(): CodecDeps['registry'] {
  const names = new Map(subjectsIn('').map(({ subject, name }) => [subject, name]))
  return {
    idOf: (subject) => Promise.resolve(eventNames.indexOf(names.get(subject)!) + 1),
    schemaById: (id) => Promise.resolve(eventNames[id - 1] && avroType(eventNames[id - 1]!)),
  }
}

/** The real codec over a registry that is not there: for unit tests. */
export function localCodec(deps: Partial<CodecDeps> = {}): Promise<Codec> {
  return createCodecOver({ registry: localRegistry(), log: silent, nowMs: () => 0, ...deps }, { namespace: '' })
}
