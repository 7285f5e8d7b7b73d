import { expect, test } from 'vitest'
import type { ChatTool } from '#lib/events/chat-request'
import { denseNames, denseSize, readDense } from '#lib/routing/dense-features'
import { extractFeatures } from '#lib/routing/features'
import { structureNames, structureRegressions } from '#lib/routing/request-structure'

const weather = toolOf('get_weather', 'Current weather of a city.', { city: 'The city, such as Rome.' })
const invoice = toolOf('create_invoice', 'Bills a customer for an amount.', { customer: 'Who pays.' })

function toolOf(name: string, description: string, parameters: Record<string, string>): ChatTool {
  const properties = Object.fromEntries(
    Object.entries(parameters).map(([key, text]) => [key, { type: 'string', description: text }]),
  )
  return {
    type: 'function',
    function: { name, description, parameters: { type: 'object', properties, required: Object.keys(parameters) } },
  }
}

function structureOf(content: string, tools: ChatTool[]): { severalCalls: number; noTool: number } {
  const request = { messages: [{ role: 'user' as const, content }], ...(tools.length > 0 && { tools }) }
  const out = new Float32Array(denseSize)
  readDense(extractFeatures({ kind: 'tool_call', request: JSON.stringify(request) }, request), request, out)
  const figure = (name: string) => out[denseNames.indexOf(`structure_${name}`)]!
  return { severalCalls: figure('several_calls'), noTool: figure('no_tool') }
}

test('every figure of a regression is one that is read', () => {
  for (const name of structureNames)
    for (const figure of Object.keys(structureRegressions[name].weights)) expect(denseNames).toContain(figure)
})

test('a request for several values asks for several calls rather than one for a single value', () => {
  const one = structureOf('What is the weather in the city of Rome?', [weather])
  const several = structureOf('Get the weather of the city of Rome, then of the city of Oslo and of Bern.', [weather])
  expect(one.severalCalls).toBeLessThan(0.3)
  expect(several.severalCalls).toBeGreaterThan(0.7)
})

test('a request that no tool is for is told from one that a tool fits', () => {
  expect(structureOf('What is the weather in the city of Rome?', [weather]).noTool).toBeLessThan(0.3)
  expect(structureOf('What is the weather in the city of Rome?', [invoice]).noTool).toBeGreaterThan(0.7)
})

test('without tools there is neither', () => {
  expect(structureOf('Get the weather of Rome and of Oslo and of Bern.', [])).toEqual({ severalCalls: 0, noTool: 0 })
})
