import { readFileSync } from 'node:fs'
import { ShuntError } from './errors.ts'

/** How a client proves who it is, and keeps what it says from others. Empty: neither, as on a laptop. */
export interface KafkaSecurity {
  tls?: { ca?: Buffer; cert?: Buffer; key?: Buffer }
  sasl?: { mechanism: SaslMechanism; username: string; password: string }
}

const mechanisms = ['plain', 'scram-sha-256', 'scram-sha-512'] as const
type SaslMechanism = (typeof mechanisms)[number]

type Env = Readonly<Record<string, string | undefined>>

/**
 * KAFKA_TLS=true, KAFKA_TLS_CA_FILE, KAFKA_TLS_CERT_FILE with KAFKA_TLS_KEY_FILE (each implies TLS); KAFKA_SASL_USERNAME
 * with KAFKA_SASL_PASSWORD, and KAFKA_SASL_MECHANISM, `scram-sha-512` unless it is named.
 * Throws SHUNT_CONFIG_INVALID, whose message holds no value of these.
 */
export function readKafkaSecurity(env: Env): KafkaSecurity {
  const tls = readTls(env)
  const sasl = readSasl(env)
  return { ...(tls && { tls }), ...(sasl && { sasl }) }
}

function readTls(env: Env): KafkaSecurity['tls'] {
  const wanted = of(env, 'KAFKA_TLS')
  if (wanted !== undefined && wanted !== 'true' && wanted !== 'false') throw invalid('KAFKA_TLS: use true or false')
  const ca = readFileOf(env, 'KAFKA_TLS_CA_FILE')
  const cert = readFileOf(env, 'KAFKA_TLS_CERT_FILE')
  const key = readFileOf(env, 'KAFKA_TLS_KEY_FILE')
  if ((cert === undefined) !== (key === undefined))
    throw invalid('KAFKA_TLS_CERT_FILE and KAFKA_TLS_KEY_FILE belong together')
  const files = ca !== undefined || cert !== undefined
  if (files && wanted === 'false') throw invalid('KAFKA_TLS=false, and files for TLS are named')
  if (!files && wanted !== 'true') return undefined
  return { ...(ca && { ca }), ...(cert && key && { cert, key }) }
}

function readSasl(env: Env): KafkaSecurity['sasl'] {
  const username = of(env, 'KAFKA_SASL_USERNAME')
  const password = of(env, 'KAFKA_SASL_PASSWORD')
  const named = of(env, 'KAFKA_SASL_MECHANISM')
  if (username === undefined && password === undefined && named === undefined) return undefined
  if (username === undefined || password === undefined)
    throw invalid('KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD belong together')
  const mechanism = mechanisms.find((each) => each === (named?.toLowerCase() ?? 'scram-sha-512'))
  if (!mechanism) throw invalid(`KAFKA_SASL_MECHANISM: use one of ${mechanisms.join(', ')}`)
  return { mechanism, username, password }
}

function of(env: Env, name: string): string | undefined {
  return env[name] === '' ? undefined : env[name]
}

function readFileOf(env: Env, name: string): Buffer | undefined {
  const path = of(env, name)
  if (path === undefined) return undefined
  try {
    return readFileSync(path)
  } catch (cause) {
    throw new ShuntError('SHUNT_CONFIG_INVALID', `${name}: the file cannot be read`, { cause })
  }
}

function invalid(problem: string): ShuntError {
  return new ShuntError('SHUNT_CONFIG_INVALID', problem)
}
