/**
 * What the runtimes of Kubernetes say of a container by annotations: whether it is its pod's sandbox or one of the containers
 * in it, and its name. containerd and CRI-O have keys of their own.
 */

import { type CrossFault, quote } from './validate.ts'

const TYPES = ['io.kubernetes.cri.container-type', 'io.kubernetes.cri-o.ContainerType']
const NAMES = ['io.kubernetes.cri.container-name', 'io.kubernetes.cri-o.ContainerName', 'io.kubernetes.container.name']
const SANDBOXES = ['io.kubernetes.cri.sandbox-id', 'io.kubernetes.cri-o.SandboxID']

/** The value of the first of the keys that is there. */
const first = (annotations: Readonly<Record<string, unknown>>, keys: readonly string[]) =>
  keys.map((key) => annotations[key]).find((value) => value !== undefined)

/** The name that a container has in its pod; undefined if nothing says it. */
export const containerName = (annotations: Readonly<Record<string, string>>) =>
  first(annotations, NAMES) as string | undefined

/** A type that there is not, and a container that does not say which sandbox is its own. */
export function* criFaults(annotations: Readonly<Record<string, unknown>>): Iterable<CrossFault> {
  for (const key of TYPES) {
    const type = annotations[key]
    if (type === undefined || type === 'sandbox') continue
    if (type !== 'container') yield { at: [key], rule: `must be sandbox or container, is ${quote(String(type))}` }
    else if (first(annotations, SANDBOXES) === undefined) {
      yield { at: [key], rule: `a container of a pod names its sandbox: ${SANDBOXES.join(' or ')}` }
    }
  }
}
