import { readTrainedScorer } from '#lib/policy/scorer-file'
import { runService } from '#lib/service/run-service'
import { createClassifierDeps, createClassifierStage } from './create-classifier.ts'
import { createHandle } from './handle-record.ts'

await runService(
  'classifier',
  async (parts) => {
    const deps = await createClassifierDeps(parts)
    return createClassifierStage(parts, deps, createHandle(deps))
  },
  { readScorer: readTrainedScorer },
)
