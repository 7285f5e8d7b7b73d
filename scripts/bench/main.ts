import { parseArgs } from 'node:util'
import { benchLedger } from './ledger/main.ts'
import { benchSpine } from './spine/main.ts'
import { reached, writeFigures } from './figures.ts'
import { benchDecide } from './decide.ts'
import { benchReplay } from './replay/main.ts'
import { benchRouter } from './router.ts'
import { benchTools } from './tool-ambiguity.ts'
import { benchTrace } from './trace.ts'
import { benchVerification } from './verification.ts'

const benches = {
  spine: benchSpine,
  ledger: benchLedger,
  decide: benchDecide,
  router: benchRouter,
  tools: benchTools,
  trace: benchTrace,
  verification: benchVerification,
  replay: benchReplay,
}
const usage = `usage: npm run bench -- ${Object.keys(benches).join('|')} [--only PART,…] [--seeds N] [--json OUT]`

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'string' }, only: { type: 'string' }, seeds: { type: 'string' } },
})
const name = positionals[0] as keyof typeof benches
if (!Object.hasOwn(benches, name)) {
  console.error(usage)
  process.exit(2)
}
// Their children are ended on 'exit', the local stack by its guardian.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(130))
const figures = await benches[name]({
  only: values.only?.split(','),
  seeds: values.seeds === undefined ? undefined : Number(values.seeds),
})
if (values.json !== undefined) writeFigures(values.json, name, figures)
const missed = figures.filter((figure) => reached(figure) === false).length
console.log(`\n${figures.length} figures, ${missed} not reached`)
