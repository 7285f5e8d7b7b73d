/** P(a value of `above` is greater than one of `below`), ties by half: the area under the ROC curve. */
export function areaUnderCurve(above: readonly number[], below: readonly number[]): number {
  const sorted = [
    ...above.map((value) => ({ value, isAbove: true })),
    ...below.map((value) => ({ value, isAbove: false })),
  ]
  sorted.sort((a, b) => a.value - b.value)
  let rankSum = 0
  for (let from = 0; from < sorted.length;) {
    let to = from
    let tied = 0
    for (; to < sorted.length && sorted[to]!.value === sorted[from]!.value; to++) if (sorted[to]!.isAbove) tied++
    rankSum += (tied * (from + to + 1)) / 2
    from = to
  }
  return (rankSum - (above.length * (above.length + 1)) / 2) / (above.length * below.length)
}
