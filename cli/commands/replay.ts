import type { AddCommand } from '../context.ts'
import { addReplayVerifyCommand } from './replay-verify.ts'

export const addReplayCommand: AddCommand = (program, run) => {
  const replay = program
    .command('replay')
    .description('recorded decisions made again: to prove why, and to ask what if')
  addReplayVerifyCommand(replay, run)
}
