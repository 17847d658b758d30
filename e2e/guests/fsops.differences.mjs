/** Where `fsops.c` sees something else on our kernel than under node:wasi on a real tmpfs: each line, both sides, and why
 *  ours is right. That Linux says so is measured: a native build of the same source prints our side of every line.
 *
 *  A difference that is gone is a failure too, so that this list stays true. */

const CLEANED =
  'node:wasi cleans a path as a string before it asks Linux, so it never looks at what stands before `..` or `.`; Linux walks'
const EMPTY = 'Linux says that nothing has an empty name (path_resolution(7)); node:wasi calls it invalid'
const BY_PATH =
  'node:wasi keeps the name under which a directory was opened and loses it when it is renamed; on Linux a descriptor stays'
const COOKIES =
  'the directory cookies of node:wasi are positions in a listing that it makes anew on each call, so it skips names when others go or come'
const SECONDS = 'node:wasi keeps whole seconds when it sets a time'
const NO_FOLLOW = 'node:wasi follows a last symlink although the program said O_NOFOLLOW; Linux refuses'
const DANGLING_EXCL =
  'node:wasi follows the symlink and makes its target; on Linux O_EXCL takes any symlink for an existing name (open(2))'
const CLIMBING_TARGET =
  'node:wasi checks a target from the preopen, not from where the link lies, when the link is made; Linux stores any text, and containment is checked when it is followed'
const NOT_MADE = 'node:wasi refused to make this link (see above), so it finds no such name'

/** @type {readonly {line: string, node: string, ours: string, reason: string}[]} */
export const differences = [
  { line: 'open O_EXCL of a dangling symlink', node: 'ok', ours: 'EEXIST', reason: DANGLING_EXCL },
  { line: 'open O_NOFOLLOW of a symlink', node: 'ok', ours: 'ELOOP', reason: NO_FOLLOW },
  { line: 'open O_NOFOLLOW of a dangling symlink', node: 'ENOENT', ours: 'ELOOP', reason: NO_FOLLOW },
  {
    line: 'open O_NOFOLLOW with O_DIRECTORY of a symlink to a directory',
    node: 'ok',
    ours: 'ENOTDIR',
    reason: NO_FOLLOW,
  },
  { line: 'open O_NOFOLLOW with O_CREAT of a symlink', node: 'ok', ours: 'ELOOP', reason: NO_FOLLOW },
  {
    line: 'open O_CREAT of a file with a slash',
    node: 'ENOTDIR',
    ours: 'EISDIR',
    reason: 'node:wasi drops O_CREAT here; Linux refuses O_CREAT with a trailing slash before it looks at the name',
  },
  { line: 'open a file with a slash and a dot', node: 'ok', ours: 'ENOTDIR', reason: CLEANED },
  { line: 'open a file with a slash and two dots', node: 'ok', ours: 'ENOTDIR', reason: CLEANED },
  { line: 'open a name beside a missing one', node: 'ok', ours: 'ENOENT', reason: CLEANED },
  { line: 'open a path of 4096 bytes', node: 'ok', ours: 'ENAMETOOLONG', reason: CLEANED },
  {
    line: 'io read from a directory',
    node: 'EBADF',
    ours: 'EISDIR',
    reason: 'node:wasi refuses for want of a right, which libc turns into EBADF; Linux says EISDIR',
  },
  {
    line: 'sparse posix_fallocate of no bytes',
    node: 'ok',
    ours: 'EINVAL',
    reason: 'node:wasi only compares sizes; posix_fallocate(3) refuses a length of 0',
  },
  {
    line: 'append F_GETFL says O_APPEND',
    node: '0',
    ours: '1',
    reason: 'node:wasi gives the flags of the host in place of those of WASI',
  },
  { line: 'stat stat of two dots below a file', node: 'ok', ours: 'ENOTDIR', reason: CLEANED },
  { line: 'stat stat of a dot below a file', node: 'ok', ours: 'ENOTDIR', reason: CLEANED },
  { line: 'stat stat beside a missing name', node: 'ok', ours: 'ENOENT', reason: CLEANED },
  {
    line: 'readdir dots in an empty directory',
    node: '(empty)',
    ours: '. ..',
    reason: 'node:wasi leaves `.` and `..` out of a listing',
  },
  { line: 'readdir all are removed while they are listed', node: 'no', ours: 'yes', reason: COOKIES },
  { line: 'readdir none is left', node: 'no', ours: 'yes', reason: COOKIES },
  { line: 'readdir entries made meanwhile disturb no other', node: 'no', ours: 'yes', reason: COOKIES },
  { line: 'rename a dot below a directory', node: 'ok', ours: 'EBUSY', reason: CLEANED },
  { line: 'rename two dots below a directory', node: 'ok', ours: 'EBUSY', reason: CLEANED },
  { line: 'rename a file to a dot', node: 'EISDIR', ours: 'EBUSY', reason: CLEANED },
  { line: 'rename a file to two dots', node: 'EISDIR', ours: 'EBUSY', reason: CLEANED },
  { line: 'mkdir mkdir of a dot below a missing name', node: 'ok', ours: 'ENOENT', reason: CLEANED },
  { line: 'mkdir rmdir of a dot below a directory', node: 'ok', ours: 'EINVAL', reason: CLEANED },
  {
    line: 'symlink readlink into 3 bytes',
    node: 'ENOBUFS',
    ours: '3',
    reason: 'node:wasi refuses a buffer that is too short; readlink(2) cuts the text',
  },
  {
    line: 'symlink gives the first of them',
    node: '',
    ours: 'd/.',
    reason: 'node:wasi refuses a buffer that is too short; readlink(2) cuts the text',
  },
  { line: 'symlink symlink with an empty target', node: 'EINVAL', ours: 'ENOENT', reason: EMPTY },
  { line: 'symlink a target with two dots', node: 'ENOTCAPABLE', ours: 'ok', reason: CLIMBING_TARGET },
  { line: 'symlink climbs', node: 'ENOENT', ours: 'file', reason: NOT_MADE },
  {
    line: "symlink two dots after a symlink are the target's parent",
    node: 'file',
    ours: 'in d',
    reason: CLEANED,
  },
  { line: 'symlink also through two symlinks', node: 'file', ours: 'in d', reason: CLEANED },
  { line: 'symlink a target through a file', node: 'EBADF', ours: 'ENOTDIR', reason: CLEANED },
  {
    line: 'symlink a chain of 40 symlinks',
    node: 'ELOOP',
    ours: 'file',
    reason: 'node:wasi follows at most 32 symlinks, Linux 40 (path_resolution(7))',
  },
  { line: 'leave symlink whose target is outside', node: 'ENOTCAPABLE', ours: 'ok', reason: CLIMBING_TARGET },
  { line: 'leave open through a symlink', node: 'ENOENT', ours: 'ENOTCAPABLE', reason: NOT_MADE },
  {
    line: 'leave O_CREAT through a symlink',
    node: 'ok',
    ours: 'ENOTCAPABLE',
    reason: `${NOT_MADE} and makes a file of it`,
  },
  { line: 'leave open through a symlinked directory', node: 'ENOENT', ours: 'ENOTCAPABLE', reason: NOT_MADE },
  {
    line: 'leave stat through a symlink',
    node: 'ok',
    ours: 'ENOTCAPABLE',
    reason: `${NOT_MADE} but the file made above`,
  },
  { line: 'leave mkdir through a symlinked directory', node: 'ENOENT', ours: 'ENOTCAPABLE', reason: NOT_MADE },
  { line: 'times nanoseconds of atime', node: '0', ours: '987654321', reason: SECONDS },
  { line: 'times nanoseconds of mtime', node: '0', ours: '123456789', reason: SECONDS },
  { line: 'at openat of an empty path', node: 'EINVAL', ours: 'ENOENT', reason: EMPTY },
  { line: 'at unlinkat of a dot with AT_REMOVEDIR', node: 'ENOTEMPTY', ours: 'EINVAL', reason: CLEANED },
  { line: 'at renameat of a dot', node: 'EINVAL', ours: 'EBUSY', reason: CLEANED },
  { line: 'at mkdirat of an empty path', node: 'EINVAL', ours: 'ENOENT', reason: EMPTY },
  { line: 'at unlinkat of an empty path', node: 'EINVAL', ours: 'ENOENT', reason: EMPTY },
  { line: 'at renameat of an empty path', node: 'EINVAL', ours: 'ENOENT', reason: EMPTY },
  { line: 'at renameat to an empty path', node: 'EINVAL', ours: 'ENOENT', reason: EMPTY },
  { line: 'at linkat to an empty path', node: 'EINVAL', ours: 'ENOENT', reason: EMPTY },
  { line: 'at symlinkat of an empty path', node: 'EINVAL', ours: 'ENOENT', reason: EMPTY },
  { line: 'at openat still finds its files', node: 'ENOENT', ours: 'ok', reason: BY_PATH },
  { line: 'at openat makes a file in the renamed directory', node: 'ENOENT', ours: 'ok', reason: BY_PATH },
  { line: 'at that file is in it', node: 'ENOENT', ours: 'ok', reason: BY_PATH },
]

const RIGHTS =
  'a descriptor lacks the right to what its kind or its access mode does not allow, and WASI says notcapable (row A375)'

/** Where a WASI guest, ours and theirs, sees something else than a native program does on Linux.
 *  @type {readonly {line: string, linux: string, wasi: string, reason: string}[]} */
export const beyondLinux = [
  { line: 'truncate ftruncate of O_RDONLY', linux: 'EINVAL', wasi: 'ENOTCAPABLE', reason: RIGHTS },
  { line: 'truncate ftruncate of a directory', linux: 'EINVAL', wasi: 'ENOTCAPABLE', reason: RIGHTS },
  { line: 'readdir fdopendir of a file', linux: 'ENOTDIR', wasi: 'ENOTCAPABLE', reason: RIGHTS },
  { line: 'at openat on a file', linux: 'ENOTDIR', wasi: 'ENOTCAPABLE', reason: RIGHTS },
  { line: 'at fstatat on a file', linux: 'ENOTDIR', wasi: 'ENOTCAPABLE', reason: RIGHTS },
]

/** fsops' output as a map from label to what happened. */
export function parse(output) {
  const lines = output.split('\n').filter((line) => line !== '')
  return new Map(lines.map((line) => [line.slice(0, line.indexOf(': ')), line.slice(line.indexOf(': ') + 2)]))
}

/** What is not explained, a sentence each: lines that differ and are not listed above, and listed ones that do not hold.
 *  @param {string} ours what fsops printed on our kernel
 *  @param {string} node what the same binary printed under node:wasi
 *  @returns {string[]} empty if all is well */
export function unexplained(ours, node) {
  const [a, b] = [parse(ours), parse(node)]
  const known = new Map(differences.map((difference) => [difference.line, difference]))
  const faults = []
  for (const line of new Set([...b.keys(), ...a.keys()])) {
    const [o, n, d] = [a.get(line), b.get(line), known.get(line)]
    if (d ? d.ours !== o || d.node !== n : o !== n)
      faults.push(
        `${line}: ours ${o}, node:wasi ${n}${d ? ` (the list of differences has ours ${d.ours}, node:wasi ${d.node})` : ''}`,
      )
  }
  for (const line of known.keys()) if (!a.has(line) && !b.has(line)) faults.push(`${line}: listed, but never printed`)
  return faults
}
