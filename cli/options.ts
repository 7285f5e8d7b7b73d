import { InvalidArgumentError, Option } from 'commander'

/** Readers of option values. What they refuse is wrong usage, exit code 2. */

export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (!/^\d+$/.test(text) || value < min || value > max)
      throw new InvalidArgumentError(`a whole number, ${min} to ${max}`)
    return value
  }
}

const unitMs = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** `90`, `90s`, `15m`, `24h`, `7d`, in milliseconds; without a unit, seconds. */
export function duration(text: string): number {
  const match = /^(\d{1,9})([smhd]?)$/.exec(text)
  if (!match) throw new InvalidArgumentError('such as 90s, 15m, 24h or 7d')
  return Number(match[1]) * unitMs[(match[2] || 's') as keyof typeof unitMs]
}

/** With a default that help tells as it would be given. */
export function durationOption(flags: string, description: string, by: string): Option {
  return new Option(flags, description).argParser(duration).default(duration(by), by)
}

/** `2.50`, in micro-USD. */
export function usd(text: string): number {
  if (!/^\d{1,9}(\.\d{1,6})?$/.test(text)) throw new InvalidArgumentError('an amount in USD, such as 2.50')
  return Math.round(Number(text) * 1e6)
}

export function oneOf<const T extends string>(...choices: T[]): (text: string) => T {
  return (text) => {
    const found = choices.find((choice) => choice === text)
    if (found === undefined) throw new InvalidArgumentError(`one of ${choices.join(', ')}`)
    return found
  }
}
