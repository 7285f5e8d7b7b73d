import type { CompiledPolicy } from './compile-policy.ts'

/** A policy and the hash that names it. */
export interface PolicyInForce {
  hash: string
  policy: CompiledPolicy
}
