/** The mount table. */
import type { MountInfo } from '../src/client/index.ts'
import { byId, element } from './dom.ts'

export function drawMounts(mounts: readonly MountInfo[]): void {
  const rows = mounts.map(({ destination, type, source, options }) =>
    element('tr', {}, ...[destination, type, source, options.join(',')].map((text) => element('td', {}, text || '–'))),
  )
  byId('mounts', HTMLTableSectionElement).replaceChildren(...rows)
}
