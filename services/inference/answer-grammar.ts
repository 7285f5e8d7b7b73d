import type { GenerationRequest } from './generation-request.ts'
import { createGrammarBuilder, literal, type GrammarBuilder } from './json-grammar.ts'
import type { AnswerForm } from './prompt-format.ts'

/** GBNF that holds the answer to its form, its tools and its schema; undefined where anything may be written. */
export function answerGrammar(
  form: AnswerForm,
  request: Pick<GenerationRequest, 'tools' | 'answerSchema'>,
): string | undefined {
  const builder = createGrammarBuilder()
  const { answerSchema } = request
  if (form.kind === 'text')
    return answerSchema === undefined ? undefined : builder.build(builder.schema('answer', answerSchema))
  if (form.kind === 'call') return builder.build(callRule(builder, request))
  if (form.kind === 'arguments') {
    const tool = request.tools.find((one) => one.name === form.name)
    return builder.build(builder.schema('arguments', tool?.parameters ?? true))
  }
  const call = `${literal(form.callPrefix)} ${callRule(builder, request)}`
  // Without a prefix of its own, text is what does not begin as a call does.
  const anyText = form.textPrefix === '' ? `[^${form.callPrefix.charAt(0)}] [^\\x00]*` : '[^\\x00]*'
  const text = answerSchema === undefined ? anyText : builder.schema('answer', answerSchema)
  return builder.build(`${call} | ${literal(form.textPrefix)} ${text}`)
}

function callRule(builder: GrammarBuilder, request: Pick<GenerationRequest, 'tools'>): string {
  const calls = request.tools.map(
    (tool) => `${literal(tool.name)} ${builder.schema(`arguments-${tool.name}`, tool.parameters)}`,
  )
  return builder.rule('call', calls.join(' | '))
}
