/** Runs the conformance suite in this Worker, over the built `runtab/testing`, and posts what failed and how many held. */
import { kernelSubjects, runSpec, specs } from '/lib/testing.js'

const listed = (table = {}, name) => Object.keys(table).some((start) => name.startsWith(start))

for (const subject of kernelSubjects) {
  const { name, abilities, differences, omitted } = subject
  const failures = []
  let held = 0
  for (const spec of specs) {
    if (!spec.needs.every((ability) => abilities.has(ability))) continue
    if (listed(differences, spec.name) || listed(omitted, spec.name)) continue
    try {
      runSpec(subject, spec)
      held++
    } catch (error) {
      failures.push(`${spec.name}: ${error}`)
    }
  }
  postMessage({ name, held, failures })
}
postMessage('done')
