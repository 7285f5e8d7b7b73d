import { readTrainedScorer } from '#lib/policy/scorer-file'
import { runService } from '#lib/service/run-service'
import { createClassifierDeps, createClassifierStage } from '../../../../services/classifier/create-classifier.ts'
import { createHandle } from '../../../../services/classifier/handle-record.ts'

// The classifier's process (in a folder of its name, by which it gets its heap), but that nothing of the audit is
// encoded, linked or written: the peer that tells what it costs. It exists here alone, since a classifier that writes no
// audit must not be had by a setting.

const nothing = Buffer.alloc(0)

await runService(
  'classifier',
  async (parts) => {
    const deps = await createClassifierDeps(parts)
    const { codec } = deps
    const handle = createHandle({
      ...deps,
      codec: { ...codec, encode: (name, value) => (name === 'decision-record' ? nothing : codec.encode(name, value)) },
    })
    const withoutAudit: typeof handle = async (record, signal) => {
      const { records } = await handle(record, signal)
      return { records }
    }
    return createClassifierStage(parts, deps, withoutAudit)
  },
  { readScorer: readTrainedScorer },
)
