import type { ChatTool } from '#lib/events/chat-request'
import { profileTool, type ToolProfile } from './tool-profile.ts'

/** An agent offers the same tools at every step. A tool's whole text is the key, so a profile is the same remembered or not. */
const profiles = new Map<string, ToolProfile>()

/** With the longest text that is kept: some 15 MB at worst, 2 MB with tools of common size. */
const mostProfiles = 512
const longestText = 4_096

export function profileOf(tool: ChatTool): ToolProfile {
  const key = JSON.stringify(tool.function)
  const known = profiles.get(key)
  if (known) return known
  const profile = profileTool(tool)
  if (key.length > longestText) return profile
  if (profiles.size >= mostProfiles) profiles.clear()
  profiles.set(key, profile)
  return profile
}
