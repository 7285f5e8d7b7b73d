import { setFlagsFromString } from 'node:v8'

// What a worker holds lives as long as a call: a large young generation only copies it, and V8 lets the old one double
// before it looks. With 5,000 calls under way a pool took 584 MB without this and the leaner client (http-fetch.ts), and
// with records of 900 kB 351; with both about 340 and 260, for about a sixth of the classifier's rate.
//
// The classifier holds nothing for long and makes the most garbage: with eight megabytes it decides a fifth more steps.
const semiSpaceMb = /[\\/]classifier[\\/]/.test(process.argv[1] ?? '') ? 8 : 2

// Two megabytes are scavenged in a millisecond or two by one thread; on a machine whose processors are all busy, waiting
// for helper threads to be given one took 5 to 14 ms each time.
const flags = [
  `--max-semi-space-size=${semiSpaceMb}`,
  '--semi-space-growth-factor=1',
  '--heap-growing-percent=30',
  '--no-parallel-scavenge',
]
for (const flag of flags) setFlagsFromString(flag)
