/**
 * Inode numbers of a tree that is built from paths: those of its paths, whatever else is in it. So a tree that is built anew, with
 * more files or fewer, numbers its files as before, and a number that an overlay's upper keeps of a file is never another one's.
 *
 * 1 is the root, any other's is below 2^40. Of two paths that come to one number, which is rare, the later one gets the next.
 */

export const ROOT_INO = 1

export class PathNumbers {
  readonly #taken = new Set<number>([0, ROOT_INO])

  of(path: string): number {
    let ino = hashOf(path)
    while (this.#taken.has(ino)) ino++
    this.#taken.add(ino)
    return ino
  }
}

/** FNV-1a over UTF-16 units, twice: 39 bits. */
function hashOf(path: string): number {
  let low = 0x811c9dc5
  let high = 0x9e3779b9
  for (let i = 0; i < path.length; i++) {
    const unit = path.charCodeAt(i)
    low = Math.imul(low ^ unit, 0x01000193)
    high = Math.imul(high ^ unit, 0x85ebca6b)
  }
  return (low >>> 0) + (high >>> 25) * 2 ** 32
}
