/** The environment field: one NAME=value per line, blank lines aside. A value is all that follows the first `=`, spaces too. */

export type Environment = { readonly env: readonly string[] } | { readonly fault: string; readonly line: number }

/** Lines in faults are counted from 1. */
export function parseEnvironment(text: string): Environment {
  const env: string[] = []
  const lineOf = new Map<string, number>()
  for (const [i, raw] of text.split('\n').entries()) {
    const entry = raw.replace(/\r$/, '').trimStart()
    if (entry === '') continue
    const line = i + 1
    const equals = entry.indexOf('=')
    if (equals < 0) return { fault: `Line ${line}: “${shortened(entry)}” has no “=”; write NAME=value.`, line }
    if (equals === 0) return { fault: `Line ${line}: there is no name before the “=”.`, line }
    const name = entry.slice(0, equals)
    const before = lineOf.get(name)
    if (before !== undefined) return { fault: `Line ${line}: ${name} is already set in line ${before}.`, line }
    lineOf.set(name, line)
    env.push(entry)
  }
  return { env }
}

function shortened(text: string): string {
  return text.length > 24 ? `${text.slice(0, 23)}…` : text
}
