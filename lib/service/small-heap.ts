import { keepHeapSmall } from './heap-flags.ts'

// What a worker holds lives as long as a call. With 5,000 calls under way a pool took 584 MB without this and the leaner
// client (http-fetch.ts), and with records of 900 kB 351; with both about 340 and 260, for about a sixth of the
// classifier's rate.
//
// The classifier holds nothing for long and makes the most garbage: with eight megabytes it decides a fifth more steps.
keepHeapSmall(/[\\/]classifier[\\/]/.test(process.argv[1] ?? '') ? 8 : 2)
