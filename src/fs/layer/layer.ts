/**
 * layer: the files of an archive as a filesystem that nobody changes, to be a lower layer of overlays.
 *
 * Who reads the archive builds it; it is mounted once, and lives as long as a mount of it.
 */

import { ErrnoError } from '../../abi/errno.ts'
import type { FilesystemType } from '../../vfs/filesystem.ts'
import type { Filesystem, FilesystemUsage, PageSource } from '../../vfs/inode.ts'
import { ROOT_INO } from '../../vfs/path-numbers.ts'
import { type LayerAttributes, LayerDirectory } from './inodes.ts'

const BLOCK = 4096
/** SquashFS's: an archive has no number of its own. */
const MAGIC = 0x73717368

export class LayerFilesystem implements Filesystem {
  readonly type = 'layer'
  readonly readonly = true
  /** Given when it is mounted. */
  dev = 0
  readonly root: LayerDirectory
  /** The bytes of all files; set once the archive is read. */
  source: PageSource = { size: 0, read() {} }
  /** How many inodes it has. */
  files = 0

  constructor(root: LayerAttributes) {
    this.root = new LayerDirectory(this, ROOT_INO, root)
  }

  usage(): FilesystemUsage {
    const blocks = Math.ceil(this.source.size / BLOCK)
    return { type: MAGIC, blockSize: BLOCK, blocks, blocksFree: 0, files: this.files, filesFree: 0 }
  }
}

/** The type; a mount request's `internal` is the LayerFilesystem that was built. It knows no options. */
export const layerType: FilesystemType = {
  name: 'layer',
  userMountable: false,
  userListable: true,
  mount({ internal, data, dev }) {
    if (data !== '') throw new ErrnoError('EINVAL', undefined, `layer takes no options: "${data}"`)
    const layer = internal as LayerFilesystem
    layer.dev = dev
    return layer
  },
}
