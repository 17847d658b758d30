/**
 * Names of sockets: unix(7), "pathname sockets". A socket's name is an inode that holds what was bound to it; what can be
 * done with an endpoint is the sockets' own matter.
 *
 * Always true: the name outlives the socket, until it is unlinked; then nobody finds the endpoint any more.
 */

import { ErrnoError } from '../abi/errno.ts'
import { W_OK } from '../abi/linux.ts'
import type { Context } from './context.ts'
import type { Endpoint } from './inode.ts'
import type { VirtualDentry } from './mount.ts'
import { makeNode } from './names.ts'
import { resolve } from './path-walk.ts'
import { requireAccess } from './permissions.ts'

/** bind(2): makes the name. Errors: EADDRINUSE for a name that is taken; else as makeNode. */
export function bindEndpoint(
  context: Context,
  start: VirtualDentry,
  path: string,
  mode: number,
  endpoint: Endpoint,
): void {
  try {
    makeNode(context, start, path, 'socket', mode, 0, endpoint)
  } catch (error) {
    if (error instanceof ErrnoError && error.code === 'EEXIST') throw new ErrnoError('EADDRINUSE', path)
    throw error
  }
}

/**
 * What connect(2) and sendto(2) find under a name. Errors: those of the walk; EACCES without write permission; ECONNREFUSED for
 * what is no socket, or one whose endpoint is gone.
 */
export function endpointAt(context: Context, start: VirtualDentry, path: string): Endpoint {
  const { inode } = resolve(context, start, path, true).dentry
  requireAccess(context.credentials, inode, W_OK)
  const endpoint = inode.kind === 'socket' ? inode.endpoint : undefined
  if (endpoint === undefined || endpoint.closed) throw new ErrnoError('ECONNREFUSED', path)
  return endpoint
}
