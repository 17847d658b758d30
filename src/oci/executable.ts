/**
 * Which file a process runs: execvp(3), with one rule of our own. A file is a program if its permission bits say so or if
 * it is a WebAssembly module, because a preview1 guest cannot change permission bits, so what a linker in the sandbox
 * writes could never be run.
 */

import { ErrnoError } from '../abi/errno.ts'
import { R_OK, X_OK } from '../abi/linux.ts'
import type { Task } from '../kernel/task.ts'
import type { FileInode } from '../vfs/inode.ts'
import type { VirtualDentry } from '../vfs/mount.ts'
import { resolve } from '../vfs/path-walk.ts'
import { mayAccess } from '../vfs/permissions.ts'

/** `\0asm`: the start of every WebAssembly binary. */
const MAGIC = [0x00, 0x61, 0x73, 0x6d]

export interface Executable {
  readonly path: string
  readonly file: VirtualDentry
}

/**
 * The file that `name` means: as it stands if it holds a slash, else the first program of that name in the environment's
 * PATH, relative and empty entries of which are skipped. Call it with the process's own task.
 * Errors: ENOENT, or EACCES with the reason if something of the name was found that may not be run; for a path with a slash what is wrong with it.
 */
export function findExecutable(task: Task, name: string, env: readonly string[]): Executable {
  if (name === '') throw new ErrnoError('ENOENT', name, 'the name of the program is empty')
  if (name.includes('/')) {
    const file = resolve(task, task.cwd, name, true)
    requireProgram(task, file, name)
    return { path: name, file }
  }
  const path = env.find((entry) => entry.startsWith('PATH='))?.slice('PATH='.length)
  let denied: ErrnoError | undefined
  const passed: string[] = []
  for (const dir of (path ?? '').split(':')) {
    if (!dir.startsWith('/')) {
      if (path !== undefined) passed.push(JSON.stringify(dir))
      continue
    }
    const candidate = `${dir.replace(/\/+$/, '')}/${name}`
    try {
      const file = resolve(task, task.root, candidate, true)
      requireProgram(task, file, candidate)
      if (!isProgram(task, file)) throw new ErrnoError('EACCES', candidate, 'it is no program: it has no x bit')
      return { path: candidate, file }
    } catch (error) {
      if (!(error instanceof ErrnoError) || !MOVES_ON.has(error.code)) throw error
      if (error.code === 'EACCES') denied = error
    }
  }
  if (denied) throw denied
  const where = path === undefined ? 'no PATH in its environment' : `not in its PATH ${path}`
  const but = passed.length > 0 ? `, of which ${passed.join(', ')} is not absolute and was passed over` : ''
  throw new ErrnoError('ENOENT', name, where + but)
}

/** Errors that a search goes on after. */
const MOVES_ON = new Set<string>(['ENOENT', 'EACCES', 'ENOTDIR', 'ESTALE', 'ENODEV', 'ETIMEDOUT'])

function requireProgram(task: Task, file: VirtualDentry, path: string): void {
  const { inode } = file.dentry
  if (inode.kind === 'directory') throw new ErrnoError('EACCES', path, 'it is a directory')
  if (inode.kind !== 'file') throw new ErrnoError('EACCES', path, 'it is not a regular file')
  if (file.mount.flags.noexec) throw new ErrnoError('EACCES', path, 'the mount it is on is noexec')
  if (!mayAccess(task.credentials, inode, X_OK) && !mayAccess(task.credentials, inode, R_OK)) {
    throw new ErrnoError('EACCES', path, 'its permissions do not let this user run it')
  }
}

function isProgram(task: Task, { dentry }: VirtualDentry): boolean {
  const { inode } = dentry
  if (inode.kind !== 'file') return false
  return mayAccess(task.credentials, inode, X_OK) || (mayAccess(task.credentials, inode, R_OK) && hasMagic(task, inode))
}

function hasMagic(task: Task, inode: FileInode): boolean {
  const start = new Uint8Array(MAGIC.length)
  return (
    inode.read(start, 0, start.length, 0, task.attempt) === start.length && MAGIC.every((byte, i) => start[i] === byte)
  )
}
