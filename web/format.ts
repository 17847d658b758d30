/** Numbers as people read them. */

const counts = new Intl.NumberFormat('en')

export function formatCount(n: number): string {
  return counts.format(n)
}

/** Bytes in powers of 1024, three digits at most: `812 B`, `1.5 MiB`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let value = bytes
  let unit = 0
  // 1023.5 would be shown as 1024.
  while (value >= (unit === 0 ? 1024 : 1023.5) && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  return `${unit === 0 || value >= 99.95 ? Math.round(value) : Number(value.toFixed(1))} ${units[unit]}`
}

/** Milliseconds: `0.4 ms`, `38 ms`, `1.25 s`, `2 min 5 s`. */
export function formatDuration(ms: number): string {
  if (ms < 9.95) return `${Number(ms.toFixed(1))} ms`
  if (ms < 999.5) return `${Math.round(ms)} ms`
  if (ms < 59_995) return `${(ms / 1000).toFixed(2)} s`
  const seconds = Math.round(ms / 1000)
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`
}

/** `loaded` of `total` for a progress line; a total that is not known is left out. */
export function formatProgress(loaded: number, total: number | undefined): string {
  return total === undefined ? formatBytes(loaded) : `${formatBytes(loaded)} of ${formatBytes(total)}`
}
