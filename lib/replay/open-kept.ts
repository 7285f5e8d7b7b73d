import { isSealed } from '#lib/erasure/sealed-text'
import { openRequest, type Keys } from '#lib/erasure/step-texts'
import { errorCodeOf } from '#lib/errors'
import { openPlain, type RequestOpener } from './remake-facts.ts'

/** Opens requests that were sealed; one whose key was deleted, or is not here, counts as erased. */
export function openKept(keys: Keys): RequestOpener {
  return (step, policy) => {
    if (!isSealed(step.request)) return openPlain(step, policy)
    return keys === null ? null : nullWhereErased(openRequest(keys, step, policy))
  }
}

async function nullWhereErased<T>(opening: Promise<T>): Promise<T | null> {
  try {
    return await opening
  } catch (error) {
    if (errorCodeOf(error) === 'SHUNT_TEXT_ERASED') return null
    throw error
  }
}
