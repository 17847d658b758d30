/**
 * The argument field: words as a POSIX shell would split them, and nothing more. Quotes and backslashes mean what they mean
 * to sh(1); there are no variables, globs, pipes or redirections, so `*`, `$` and `>` stand for themselves.
 */

export type Words = { readonly words: readonly string[] } | { readonly fault: string; readonly at: number }

/** `at` in a fault is the index into `text` of the character that was left open. */
export function parseWords(text: string): Words {
  const words: string[] = []
  let word: string | undefined
  for (let i = 0; i < text.length; i++) {
    const c = text[i] as string
    if (/\s/.test(c)) {
      if (word !== undefined) words.push(word)
      word = undefined
      continue
    }
    word ??= ''
    if (c === '\\') {
      if (i + 1 === text.length)
        return { fault: 'The backslash at the end has nothing to escape; write \\\\ for one.', at: i }
      word += text[++i]
    } else if (c === "'" || c === '"') {
      const quoted = readQuoted(text, i, c)
      if (!quoted) return { fault: `The ${c} at character ${i + 1} is never closed.`, at: i }
      word += quoted.value
      i = quoted.end
    } else word += c
  }
  if (word !== undefined) words.push(word)
  return { words }
}

/** What stands between the quote at `start` and its partner at `end`; undefined if it has none. */
function readQuoted(text: string, start: number, quote: string): { value: string; end: number } | undefined {
  let value = ''
  for (let i = start + 1; i < text.length; i++) {
    const c = text[i] as string
    if (c === quote) return { value, end: i }
    // Inside double quotes a backslash escapes only these four; elsewhere it is itself.
    if (quote === '"' && c === '\\' && '"\\$`'.includes(text[i + 1] ?? ' ')) value += text[++i]
    else value += c
  }
  return undefined
}

/** A word as it can be typed into the field again. */
export function quoteWord(word: string): string {
  if (word !== '' && !/[\s'"\\]/.test(word)) return word
  return word.includes("'") ? `"${word.replace(/["\\$`]/g, '\\$&')}"` : `'${word}'`
}
