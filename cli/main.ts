#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { Command } from 'commander'
import { addAuditCommand } from './commands/audit.ts'
import { addBudgetCommand } from './commands/budget.ts'
import { addCalibrateCommand } from './commands/calibrate.ts'
import { addDeadletterCommand } from './commands/deadletter.ts'
import { addDecideCommand } from './commands/decide.ts'
import { addDownCommand } from './commands/down.ts'
import { addEraseCommand } from './commands/erase.ts'
import { addEvaluateCommand } from './commands/evaluate.ts'
import { addFeedbackCommand } from './commands/feedback.ts'
import { addKeysCommand } from './commands/keys.ts'
import { addLabelsCommand } from './commands/labels.ts'
import { addLanesCommand } from './commands/lanes.ts'
import { addLedgerCommand } from './commands/ledger.ts'
import { addCancelCommand, addPauseCommand, addResumeCommand } from './commands/orders.ts'
import { addPolicyCommand } from './commands/policy.ts'
import { addPublishCommand } from './commands/publish.ts'
import { addReplayCommand } from './commands/replay.ts'
import { addResultsCommand } from './commands/results.ts'
import { addSchemasCommand } from './commands/schemas.ts'
import { addScoreCommand } from './commands/score.ts'
import { addStatusCommand } from './commands/status.ts'
import { addTaskCommand } from './commands/task.ts'
import { addTopCommand } from './commands/top.ts'
import { addTopicsCommand } from './commands/topics.ts'
import { addUpCommand } from './commands/up.ts'
import type { CliContext, RunAction } from './context.ts'
import { exitCodes, reportError } from './report-error.ts'

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }

function buildProgram(context: CliContext): Command {
  const program = new Command('shunt')
    .description('OSS by default, frontier on uncertainty: the routing layer in front of AI agents, on Kafka.')
    .version(version)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => context.stdout.write(text),
      writeErr: (text) => context.stderr.write(text),
    })
    .addHelpText(
      'after',
      `
Environment: KAFKA_BROKERS, SCHEMA_REGISTRY_URL and REDIS_URL (defaults: the local stack), SHUNT_NAMESPACE,
SHUNT_LOG_LEVEL for logs on standard error, SHUNT_DEBUG for stack traces; KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD and
KAFKA_TLS to log in to Kafka (deploy/kafka.md); SHUNT_DATA_KEYS for the keys of sealed texts (docs/erasure.md).
Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.`,
    )
  const run: RunAction =
    (action) =>
    async (...args) => {
      process.exitCode = (await action(context, ...args)) ?? exitCodes.ok
    }
  addUpCommand(program, run)
  addDownCommand(program, run)
  addStatusCommand(program, run)
  addTopCommand(program, run)
  addPublishCommand(program, run)
  addResultsCommand(program, run)
  addTaskCommand(program, run)
  addFeedbackCommand(program, run)
  addDecideCommand(program, run)
  addLabelsCommand(program, run)
  addCalibrateCommand(program, run)
  addScoreCommand(program, run)
  addEvaluateCommand(program, run)
  addPolicyCommand(program, run)
  addPauseCommand(program, run)
  addResumeCommand(program, run)
  addCancelCommand(program, run)
  addTopicsCommand(program, run)
  addSchemasCommand(program, run)
  addAuditCommand(program, run)
  addBudgetCommand(program, run)
  addKeysCommand(program, run)
  addEraseCommand(program, run)
  addLedgerCommand(program, run)
  addLanesCommand(program, run)
  addDeadletterCommand(program, run)
  addReplayCommand(program, run)
  return program
}

const interrupt = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => {
    // The second one does not wait for anything.
    if (interrupt.signal.aborted) process.exit(exitCodes.interrupted)
    interrupt.abort()
  })
// A reader that has seen enough, such as `head`, is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? exitCodes.ok : exitCodes.failed)
})

const context: CliContext = {
  env: process.env,
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  signal: interrupt.signal,
}
try {
  await buildProgram(context).parseAsync(process.argv)
  if (interrupt.signal.aborted) process.exitCode = exitCodes.interrupted
} catch (error) {
  process.exitCode = reportError(context, error)
  // Clients whose servers do not answer leave timers behind that would hold the shell up for half a minute.
  process.stdout.write('', () => process.exit())
}
