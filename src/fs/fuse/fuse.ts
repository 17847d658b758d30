/** The filesystem type `fuse`: mounts what the server at the other end of a connection serves. */

import { ErrnoError } from '../../abi/errno.ts'
import type { FilesystemType } from '../../vfs/filesystem.ts'
import type { Connection } from './connection.ts'
import { FuseDevice } from './device.ts'
import { FuseFilesystem } from './filesystem.ts'
import { parseFuseOptions } from './options.ts'

/** What a mount of the kernel's own making hands over: the server's line, instead of the descriptor of /dev/fuse. */
export interface FuseSource {
  readonly connection: Connection
}

export const fuseType: FilesystemType = {
  name: 'fuse',
  userMountable: true,
  userListable: true,

  /** Errors: EINVAL for options, an fd that is no /dev/fuse or one that is mounted already. */
  mount({ data, internal, by, dev, clock }) {
    const source = internal as FuseSource | undefined
    const options = parseFuseOptions(data, source !== undefined)
    return new FuseFilesystem(
      source?.connection ?? connectionOf(options.fd!, by?.openFile?.(options.fd!)),
      options,
      dev,
      clock,
    )
  },
}

function connectionOf(fd: number, file: { readonly stream: unknown } | undefined): Connection {
  const fault = (rule: string) => new ErrnoError('EINVAL', undefined, `fuse option "fd=${fd}": ${rule}`)
  if (!(file?.stream instanceof FuseDevice)) throw fault('no descriptor of an open /dev/fuse')
  const { connection } = file.stream
  if (connection.isMounted) throw fault('it is mounted already')
  return connection
}
