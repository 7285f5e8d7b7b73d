import type { AddCommand } from '../context.ts'
import { addReplayPublishCommand } from './replay-publish.ts'
import { addReplayRemoveCommand } from './replay-remove.ts'

export const addReplayCommand: AddCommand = (program, run) => {
  const replay = program.command('replay').description('recorded steps again')
  addReplayPublishCommand(replay, run)
  addReplayRemoveCommand(replay, run)
}
