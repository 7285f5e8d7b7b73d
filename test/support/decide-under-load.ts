import type { StepInput } from '#lib/client/step-input'
import type { LoadedPolicy } from '#lib/policy/load'
import { waitUntil } from './wait-until.ts'

/** Classifiers at work, by two processes at least. */
export interface UnderLoadRig {
  publish(steps: readonly StepInput[]): Promise<void>
  /** Resolves once every classifier follows it. */
  activate(policy: LoadedPolicy): Promise<void>
  /** Links of agent.audit so far, about. */
  links(): Promise<number>
  /** Kills one of the classifiers with -9; resolves once it is gone. */
  kill(): Promise<void>
  restart(): Promise<void>
}

/**
 * Has a wave of steps decided under each policy; the next one comes in force while the wave is under way. In the second
 * wave a classifier is killed and started again. Resolves with the time of the kill, when the last wave is published.
 */
export async function decideUnderLoad(
  rig: UnderLoadRig,
  policies: readonly LoadedPolicy[],
  waves: readonly (readonly StepInput[])[],
): Promise<{ killedAtMs: number }> {
  let killedAtMs = Number.NaN
  for (const [wave, policy] of policies.entries()) {
    await rig.activate(policy)
    const steps = waves[wave]!
    const before = await rig.links()
    const share = (part: number) =>
      waitUntil(
        async () => (await rig.links()) >= before + part * steps.length,
        () => `wave ${wave} to be decided in part`,
        300_000,
      )
    const published = rig.publish(steps)
    if (wave === 1) {
      await share(0.2)
      killedAtMs = Date.now()
      await rig.kill()
      await rig.restart()
    }
    await share(0.5)
    await published
  }
  return { killedAtMs }
}
