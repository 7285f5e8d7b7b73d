import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { readKafkaSecurity } from '#lib/kafka-security'

const dir = mkdtempSync(join(tmpdir(), 'shunt-tls-'))
const file = join(dir, 'some.pem')
writeFileSync(file, 'pem')
afterAll(() => rmSync(dir, { recursive: true }))

test('without variables there is none', () => {
  expect(readKafkaSecurity({})).toEqual({})
  expect(readKafkaSecurity({ KAFKA_TLS: '', KAFKA_SASL_USERNAME: '' })).toEqual({})
  expect(readKafkaSecurity({ KAFKA_TLS: 'false' })).toEqual({})
})

test('TLS by itself, with an authority of one’s own, with a certificate', () => {
  const pem = Buffer.from('pem')
  expect(readKafkaSecurity({ KAFKA_TLS: 'true' })).toEqual({ tls: {} })
  expect(readKafkaSecurity({ KAFKA_TLS_CA_FILE: file })).toEqual({ tls: { ca: pem } })
  expect(readKafkaSecurity({ KAFKA_TLS_CERT_FILE: file, KAFKA_TLS_KEY_FILE: file })).toEqual({
    tls: { cert: pem, key: pem },
  })
})

test('a user and password, by SCRAM unless another mechanism is named', () => {
  const user = { KAFKA_SASL_USERNAME: 'classifier', KAFKA_SASL_PASSWORD: 'secret' }
  const sasl = { username: 'classifier', password: 'secret' }
  expect(readKafkaSecurity(user)).toEqual({ sasl: { ...sasl, mechanism: 'scram-sha-512' } })
  expect(readKafkaSecurity({ ...user, KAFKA_SASL_MECHANISM: 'PLAIN' })).toEqual({
    sasl: { ...sasl, mechanism: 'plain' },
  })
})

test.each([
  [{ KAFKA_TLS: 'yes' }, 'true or false'],
  [{ KAFKA_TLS: 'false', KAFKA_TLS_CA_FILE: file }, 'files for TLS are named'],
  [{ KAFKA_TLS_CERT_FILE: file }, 'belong together'],
  [{ KAFKA_TLS_CA_FILE: join(dir, 'none.pem') }, 'KAFKA_TLS_CA_FILE: the file cannot be read'],
  [{ KAFKA_SASL_USERNAME: 'classifier' }, 'belong together'],
  [{ KAFKA_SASL_PASSWORD: 'secret' }, 'belong together'],
  [{ KAFKA_SASL_USERNAME: 'u', KAFKA_SASL_PASSWORD: 'secret', KAFKA_SASL_MECHANISM: 'secret' }, 'use one of plain'],
])('%j is refused, and the message holds no secret', (env, problem) => {
  const read = () => readKafkaSecurity(env)
  expect(read).toThrow(expect.objectContaining({ code: 'SHUNT_CONFIG_INVALID' }))
  expect(read).toThrow(problem)
  expect(read).not.toThrow('secret')
})
