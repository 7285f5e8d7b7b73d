import { expect, test } from 'vitest'
import { readInferenceOptions } from '../../../services/inference/options.ts'

test('a model file is all that must be named', () => {
  const options = readInferenceOptions({ SHUNT_MODEL_PATH: '/models/a.gguf' })
  expect(options).toMatchObject({
    modelPath: '/models/a.gguf',
    modelName: 'gemma-3-270m',
    sequences: 4,
    httpPort: 8090,
  })
  expect(options.threads).toBeGreaterThan(0)
})

test.each([
  [{}, 'SHUNT_MODEL_PATH'],
  [{ SHUNT_MODEL_PATH: 'a', SHUNT_INFERENCE_SEQUENCES: '0' }, 'SHUNT_INFERENCE_SEQUENCES=0'],
  [{ SHUNT_MODEL_PATH: 'a', SHUNT_INFERENCE_THREADS: 'many' }, 'SHUNT_INFERENCE_THREADS=many'],
  [{ SHUNT_MODEL_PATH: 'a', SHUNT_HTTP_PORT: '-1' }, 'SHUNT_HTTP_PORT=-1'],
])('%j is refused by name', (env, name) => {
  expect(() => readInferenceOptions(env)).toThrow(name)
})
