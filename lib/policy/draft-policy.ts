import type { z } from 'zod'
import { policyLists, policySchema, type Policy } from './schema.ts'

type Lists = typeof policyLists
type ListName = keyof Lists
export interface Entry<T> {
  /** In the file's list. */
  index: number
  value: T
}

/**
 * What can be read of a policy that may have problems: its well-formed entries, and the ids of the others. So a mistake
 * in one place does not hide those elsewhere, nor make a reference to it look wrong as well.
 */
export interface DraftPolicy {
  entries: { [Name in ListName]: Entry<z.output<Lists[Name]>>[] }
  /** Every id (of a rule: name) that is written, of ill-formed entries too, with its index. */
  ids: Record<ListName, { id: string; index: number }[]>
  /** Tenants that a threshold is written for. */
  thresholdTenants: string[]
  /** The whole policy, where its form has no problem. */
  whole: Policy | null
}

export function draftPolicy(data: unknown): DraftPolicy {
  const read = <Name extends ListName>(name: Name): Entry<z.output<Lists[Name]>>[] =>
    listOf(data, name).flatMap((item, index) => {
      const parsed = policyLists[name].safeParse(item)
      return parsed.success ? [{ index, value: parsed.data as z.output<Lists[Name]> }] : []
    })
  const idsOf = (name: ListName, key: string) =>
    listOf(data, name).flatMap((item, index) => {
      const id = isRecord(item) ? item[key] : undefined
      return typeof id === 'string' ? [{ id, index }] : []
    })
  const whole = policySchema.safeParse(data)
  return {
    entries: {
      models: read('models'),
      backends: read('backends'),
      providers: read('providers'),
      tenants: read('tenants'),
      rules: read('rules'),
    },
    ids: {
      models: idsOf('models', 'id'),
      backends: idsOf('backends', 'id'),
      providers: idsOf('providers', 'id'),
      tenants: idsOf('tenants', 'id'),
      rules: idsOf('rules', 'name'),
    },
    thresholdTenants: thresholdTenantsOf(data),
    whole: whole.success ? whole.data : null,
  }
}

function thresholdTenantsOf(data: unknown): string[] {
  const threshold = isRecord(data) ? data['threshold'] : undefined
  const perTenant = isRecord(threshold) ? threshold['perTenant'] : undefined
  return isRecord(perTenant) ? Object.keys(perTenant) : []
}

function listOf(data: unknown, name: string): unknown[] {
  const list = isRecord(data) ? data[name] : undefined
  return Array.isArray(list) ? list : []
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
