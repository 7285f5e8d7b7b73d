import { writeFileSync } from 'node:fs'

// Preloaded by a process that is measured: at its end it writes what it took, which nobody can ask of it afterwards.
const file = process.env['BENCH_USAGE_FILE']
if (file !== undefined)
  process.on('exit', () => {
    const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage()
    writeFileSync(file, JSON.stringify({ cpuSeconds: (userCPUTime + systemCPUTime) / 1e6, maxRssMb: maxRSS / 1_024 }))
  })
