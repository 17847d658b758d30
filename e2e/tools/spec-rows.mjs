/**
 * Reading docs/spec.md and judging its rows by test results. Pure: text and results in, verdicts out.
 *
 * A test cites rows by beginning its title, or that of a describe around it, with their IDs: `A053 A055 '..' at a mount root …`.
 * A row is failing if any test that cites it failed or is expected to fail, held if one passed and none is failing, and else
 * unchecked: a skipped test holds nothing. A row that docs/out-of-scope.md lists is out of scope, unless a test fails on it.
 *
 * @typedef {{ id: string, title: string, rows: string[] }} Group
 * @typedef {{ held: string[], failing: string[], unchecked: string[], outOfScope: string[] }} Verdict
 */

/**
 * The groups of sections A to D. Rows of later sections (E, upstream's tests) may be cited but are not judged: `excluded`.
 *
 * @param {string} spec text of docs/spec.md
 * @returns {{ groups: Group[], excluded: Set<string> }}
 */
export function rowsOf(spec) {
  /** @type {Group[]} */
  const groups = []
  /** @type {Set<string>} */
  const excluded = new Set()
  const seen = new Set()
  let section = ''
  for (const line of spec.split('\n')) {
    const heading = /^## (?:([A-Z])\. )?/.exec(line)
    if (heading) section = heading[1] ?? ''
    const group = /^### ([A-Z]\d+) (.+)$/.exec(line)
    if (group && 'ABCD'.includes(group[1][0])) groups.push({ id: group[1], title: group[2].trim(), rows: [] })
    const row = /^\| ([A-Z]\d{3}) \|/.exec(line)?.[1]
    if (!row || section === '') continue
    if (seen.has(row)) throw new Error(`docs/spec.md has row ${row} twice`)
    seen.add(row)
    if (!'ABCD'.includes(section)) excluded.add(row)
    else groups.at(-1)?.rows.push(row)
  }
  return { groups, excluded }
}

/**
 * @param {string} list such as `B047-B052, D095`
 * @returns {string[]} the rows one by one
 */
export function expand(list) {
  return list
    .split(/[\s,]+/)
    .filter(Boolean)
    .flatMap((part) => {
      const range = /^([A-Z])(\d{3})-\1(\d{3})$/.exec(part)
      if (!range) return [part]
      const [first, last] = [Number(range[2]), Number(range[3])]
      return Array.from({ length: last - first + 1 }, (_, i) => `${range[1]}${String(first + i).padStart(3, '0')}`)
    })
}

/**
 * @param {string} text of docs/out-of-scope.md: a table of rows (IDs and ranges) and reason
 * @param {Group[]} groups
 * @returns {{ reasons: Map<string, string>, unknown: string[] }} the reason by row; names that are no row
 */
export function outOfScopeOf(text, groups) {
  const known = new Set(groups.flatMap(({ rows }) => rows))
  const reasons = new Map()
  const unknown = []
  for (const line of text.split('\n')) {
    const cells = /^\| *([A-Z]\d{3}[^|]*?) *\| *([^|]+?) *\|$/.exec(line)
    if (!cells) continue
    for (const row of expand(cells[1])) {
      if (known.has(row)) reasons.set(row, cells[2])
      else unknown.push(row)
    }
  }
  return { reasons, unknown }
}

/**
 * The rows that a title begins with. A range is not taken apart (a test names each row that it checks), it comes out as it stands.
 *
 * @param {string} title
 * @returns {string[]}
 */
export function citedBy(title) {
  const cited = []
  for (const word of title.trim().split(/\s+/)) {
    if (!/^[A-Z]\d{3}(?![\w])/.test(word)) break
    cited.push(word.replace(/[,:;.]+$/, ''))
  }
  return cited
}

/**
 * @param {Group[]} groups
 * @param {Map<string, string>} outOfScope reason by row
 * @param {import('./results.mjs').Test[]} tests
 * @param {Set<string>} [excluded] rows that may be cited without being judged
 * @returns {{ verdicts: Record<string, Verdict>, unknown: { row: string, test: string }[] }}
 */
export function judge(groups, outOfScope, tests, excluded = new Set()) {
  const known = new Set(groups.flatMap(({ rows }) => rows))
  const passed = new Set()
  const failing = new Set()
  const unknown = []
  for (const { titles, status, expectedFailure } of tests) {
    for (const row of new Set(titles.flatMap(citedBy))) {
      if (!known.has(row)) {
        if (!excluded.has(row)) unknown.push({ row, test: titles.join(' > ') })
      } else if (status === 'failed' || expectedFailure) failing.add(row)
      else if (status === 'passed') passed.add(row)
    }
  }
  /** @type {Record<string, Verdict>} */
  const verdicts = {}
  for (const { id, rows } of groups) {
    /** @type {Verdict} */
    const verdict = { held: [], failing: [], unchecked: [], outOfScope: [] }
    for (const row of rows) {
      if (failing.has(row)) verdict.failing.push(row)
      else if (outOfScope.has(row)) verdict.outOfScope.push(row)
      else if (passed.has(row)) verdict.held.push(row)
      else verdict.unchecked.push(row)
    }
    verdicts[id] = verdict
  }
  return { verdicts, unknown }
}
