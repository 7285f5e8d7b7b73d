import { describe, expect, test } from 'vitest'
import { reportPage } from '#lib/replay/report/page'
import { makePolicy } from '../../routing/make-facts.ts'
import { entriesOf, loadedAs, recordStep } from '../diff/recorded.ts'
import { runDiff } from '../diff/run-diff.ts'

const hostile = `"><script>alert(1)</script>'&<svg onload=alert(2)>`
const tenants = [{ id: 'acme' }, { id: 'clinic' }]
const recordedBy = loadedAs(makePolicy({ tenants }))
const strict = loadedAs(makePolicy({ tenants, threshold: { pSuccessPpm: 900_000 } }))

async function reportOf(tenantId: string, text: string) {
  const known = { ...recordedBy.policy.index, tenants: new Map([[tenantId, recordedBy.policy.tenants[0]!]]) }
  const before = { ...recordedBy, policy: { ...recordedBy.policy, index: known } }
  const after = { ...strict, policy: { ...strict.policy, index: { ...strict.policy.index, tenants: known.tenants } } }
  const records = [0, 1, 2].map((i) =>
    recordStep(before, {
      stepId: `${text}${i}`,
      taskId: text,
      facts: { tenantId, requestedModel: text, kind: text, gainPpm: 1, pSuccessPpm: i * 400_000 },
    }),
  )
  return runDiff({ audit: await entriesOf(records) }, after, [before])
}

/** Names of elements, and of their attributes. */
function namesIn(page: string): { elements: Set<string>; attributes: Set<string> } {
  const found = { elements: new Set<string>(), attributes: new Set<string>() }
  const body = page.replace(/<style>[^<]*<\/style>/, '')
  expect(body).not.toMatch(/<(?![a-z!/])/i)
  for (const [tag, name] of body.matchAll(/<([a-z][a-z0-9]*)(?:[^<>"]|"[^"]*")*>/gi)) {
    found.elements.add(name!)
    for (const [, attribute] of tag.matchAll(/\s([^\s=<>"]+)=/g)) found.attributes.add(attribute!)
  }
  return found
}

describe('the page', () => {
  test('escapes all that others named, in tables and in plots', async () => {
    const report = await reportOf(hostile, hostile)
    expect(report.moved.tier).toBe(1)
    const page = reportPage(report, { policyFile: hostile, source: hostile })
    expect(page).not.toMatch(/<script|<svg onload/)
    const plain = reportPage(await reportOf('acme', 'kind'), { policyFile: 'policy.yaml', source: 'agent.audit' })
    expect(namesIn(page)).toEqual(namesIn(plain))
    expect(page).toContain('&lt;script&gt;')
  })

  test('no foreign text turns what stands after it', async () => {
    const turning = 'gnp\u202eexe\u2066'
    const page = reportPage(await reportOf('acme', turning), { policyFile: turning, source: turning })
    expect(page).toContain('gnp\ufffdexe\ufffd')
    expect(page).not.toMatch(/[\u202a-\u202e\u2066-\u2069]/)
  })

  test('fetches nothing, and forbids it', async () => {
    const page = reportPage(await reportOf('acme', 'kind'), { policyFile: 'policy.yaml', source: 'agent.audit' })
    expect(page).toContain(`content="default-src 'none'; style-src 'unsafe-inline'"`)
    expect(page).not.toMatch(/(href|src|url)\s*[=(]/)
    expect(page.match(/<svg role="img" aria-label="[^"]+" viewBox/g)!.length).toBeGreaterThanOrEqual(5)
  })

  test('is the same for the same figures', async () => {
    const subject = { policyFile: 'policy.yaml', source: 'agent.audit' }
    expect(reportPage(await reportOf('acme', 'kind'), subject)).toBe(
      reportPage(await reportOf('acme', 'kind'), subject),
    )
  })

  test('says of a range without decisions that it has none', async () => {
    const page = reportPage(await runDiff({}, strict, []), { policyFile: 'policy.yaml', source: 'agent.audit' })
    expect(page).toContain('No decision of the range is told of.')
    expect(page).not.toContain('<svg')
  })
})
