import { ShuntError } from '#lib/errors'

/** What a worker's stage takes from the environment. */
export interface StageSettings {
  /** Steps in work at once in this process; more than the slots of all backends together gains nothing. */
  maxInFlight: number
  /** Least time between two commits of a busy lane, ms. Raise for fewer, larger transactions; each result waits it out. */
  commitIntervalMs: number
}

/** Throws SHUNT_CONFIG_INVALID. */
export function readStageSettings(
  env: Readonly<Record<string, string | undefined>>,
  defaults: StageSettings,
): StageSettings {
  return {
    maxInFlight: wholeFrom1(env, 'SHUNT_MAX_IN_FLIGHT', defaults.maxInFlight),
    commitIntervalMs: wholeFrom1(env, 'SHUNT_COMMIT_INTERVAL_MS', defaults.commitIntervalMs),
  }
}

function wholeFrom1(env: Readonly<Record<string, string | undefined>>, name: string, fallback: number): number {
  const text = env[name]
  if (text === undefined) return fallback
  if (!/^[1-9]\d{0,6}$/.test(text))
    throw new ShuntError('SHUNT_CONFIG_INVALID', `${name}=${text}: use a whole number from 1 to 9999999`)
  return Number(text)
}
