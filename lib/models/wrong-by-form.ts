import type { Verdict } from './verdicts.ts'

/**
 * Verdicts that show an answer to be wrong by its form. Not on the list: those on a call that brought none, and those that
 * only doubt an answer, or could not check it.
 */
export const wrongByForm: ReadonlySet<string> = new Set<Verdict>([
  'truncated',
  'empty',
  'content_filtered',
  'refused',
  'unknown_tool',
  'tool_expected',
  'tool_unexpected',
  'arguments_malformed',
  'arguments_invalid',
  'format_mismatch',
  'schema_mismatch',
  'label_unknown',
])
