/** Archives that GNU tar makes are read, and ours are read by GNU tar: on a real disk, with what it can hold. */

import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  closeSync,
  ftruncateSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { testVfs, tmpfsOf } from '../../testing/overlays.ts'
import { find, picture, type Tree } from '../../testing/trees.ts'
import type { DirectoryInode, FileInode } from '../../vfs/inode.ts'
import { Attempt } from '../../vfs/waiting.ts'
import { archived, unarchived } from './test-archives.ts'

const none = new Attempt()
const isRoot = process.getuid?.() === 0
const hasGnuTar = /GNU tar/.test(spawnSync('tar', ['--version'], { encoding: 'utf8' }).stdout ?? '')
const tar = (...args: string[]) => execFileSync('tar', args, { maxBuffer: 1 << 28, stdio: ['ignore', 'pipe', 'pipe'] })

/** Of a file's bytes: a sparse one is long. */
const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'runtab-tar-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function planted(name: string): string {
  const root = join(folder, name)
  mkdirSync(join(root, 'sub/deep'), { recursive: true })
  writeFileSync(join(root, 'hello'), 'hello\n')
  writeFileSync(join(root, 'sub/deep/grüße 日本'), 'ünï\n')
  linkSync(join(root, 'hello'), join(root, 'sub/again'))
  symlinkSync('../hello', join(root, 'sub/link'))
  symlinkSync('t'.repeat(150), join(root, 'far'))
  writeFileSync(join(root, 'sub', 'n'.repeat(150)), 'long\n')
  mkdirSync(join(root, 'd'.repeat(90), 'e'.repeat(90)), { recursive: true })
  writeFileSync(join(root, 'd'.repeat(90), 'e'.repeat(90), 'f'.repeat(30)), 'deep\n')
  chmodSync(join(root, 'hello'), 0o4751)
  utimesSync(join(root, 'hello'), 1_600_000_000.25, 1_600_000_000.25)
  if (isRoot) chownSync(join(root, 'hello'), 12345, 54321)
  execFileSync('mkfifo', [join(root, 'pipe')])
  return root
}

function sparseFile(root: string): void {
  const fd = openSync(join(root, 'sparse'), 'w')
  ftruncateSync(fd, 1 << 21)
  for (let i = 0; i < 12; i++) writeSync(fd, `piece ${i}`, (i + 1) * 150_000)
  closeSync(fd)
}

interface Fact {
  readonly mtime: bigint
  readonly [field: string]: unknown
}

/** What a folder of the disk and a directory of ours have in common. */
function onDisk(root: string): Record<string, Fact> {
  const seen: Record<string, Fact> = {}
  for (const path of readdirSync(root, { recursive: true, encoding: 'utf8' })) {
    const status = lstatSync(join(root, path), { bigint: true })
    const { mode, uid, gid, nlink, size } = status
    const kind = status.isDirectory()
      ? 'directory'
      : status.isSymbolicLink()
        ? 'symlink'
        : status.isFIFO()
          ? 'fifo'
          : 'file'
    const target = kind === 'symlink' ? readlinkSync(join(root, path)) : undefined
    const text = kind === 'file' ? digest(readFileSync(join(root, path))) : undefined
    seen[path] = {
      ...{ kind, mode: Number(mode), uid: Number(uid), gid: Number(gid), target, text, mtime: status.mtimeNs },
      ...(kind !== 'directory' && { nlink: Number(nlink), size: Number(size) }),
    }
  }
  return seen
}

function ours(root: DirectoryInode): Record<string, Fact> {
  const seen: Record<string, Fact> = {}
  for (const path of Object.keys(picture(root))) {
    const inode = find(root, path)!
    const { kind, mode, uid, gid, nlink, size, mtime } = inode
    const target = kind === 'symlink' ? inode.readlink(none) : undefined
    let text: string | undefined
    if (kind === 'file') {
      const bytes = new Uint8Array(size)
      inode.read(bytes, 0, size, 0, none)
      text = digest(bytes)
    }
    seen[path] = { kind, mode, uid, gid, target, text, mtime, ...(kind !== 'directory' && { nlink, size }) }
  }
  return seen
}

describe.skipIf(!hasGnuTar)('GNU tar', () => {
  test.each(['pax', 'gnu', 'oldgnu'])('D058 D053 D054 an archive that it makes with --format=%s is read', (format) => {
    const root = planted(`made-${format}`)
    sparseFile(root)
    const bytes = tar('-C', root, '-c', `--format=${format}`, '--sparse', '.')
    expect(bytes.length).toBeLessThan(250_000)
    const wanted = onDisk(root)
    const seconds = (facts: Record<string, Fact>) =>
      Object.fromEntries(
        Object.entries(facts).map(([path, fact]) => [path, { ...fact, mtime: fact.mtime / 1_000_000_000n }]),
      )
    const whole = format === 'pax' ? (facts: Record<string, Fact>) => facts : seconds
    for (const form of ['snapshot', 'layer'] as const) {
      const read = unarchived(bytes, form)
      expect(whole(ours(read.root))).toEqual(whole(wanted))
      expect((find(read.root, 'sparse') as FileInode).blocks).toBeLessThan(1000)
    }
  })

  test.each(['ustar', 'v7'])('an archive that it makes with --format=%s is read', (format) => {
    const root = join(folder, `short-${format}`)
    mkdirSync(join(root, 'p'.repeat(60)), { recursive: true })
    const name = format === 'ustar' ? `${'p'.repeat(60)}/${'q'.repeat(80)}` : 'hello'
    writeFileSync(join(root, name), 'hello\n')
    const read = unarchived(tar('-C', root, '-c', `--format=${format}`, '.'), 'layer')
    expect(picture(read.root)).toMatchObject({ [name]: 'file hello' })
  })

  test.each(['0.0', '0.1', '1.0'])('a sparse file of format %s is read', (version) => {
    const root = join(folder, `sparse-${version}`)
    mkdirSync(root)
    sparseFile(root)
    const bytes = tar('-C', root, '-c', '--format=pax', '--sparse', `--sparse-version=${version}`, '.')
    expect(ours(unarchived(bytes, 'layer').root)).toEqual(onDisk(root))
  })

  test('lists and extracts ours', () => {
    const tree: Tree = {
      hello: {
        kind: 'file',
        text: 'hello\n',
        mode: 0o4751,
        mtime: 1_600_000_000_250_000_001n,
        ...(isRoot && { uid: 12345, gid: 54321 }),
      },
      'sub/again': { kind: 'file', sameAs: 'hello' },
      'sub/link': { kind: 'symlink', target: '../hello', mode: 0o777 },
      'sub/far': { kind: 'symlink', target: 't'.repeat(150), mode: 0o777 },
      'sub/grüße 日本': 'ünï\n',
      [`${'d/'.repeat(80)}deep`]: 'deep\n',
      ['n'.repeat(200)]: 'long\n',
      pipe: { kind: 'fifo', mode: 0o600 },
      hole: '',
    }
    const upper = tmpfsOf(testVfs(), tree).root as DirectoryInode
    const hole = find(upper, 'hole') as FileInode
    hole.truncate!(1 << 20, none)
    hole.write!(new TextEncoder().encode('in a hole'), 0, 9, 1 << 19, none)
    if (!isRoot)
      for (const path of ['', ...Object.keys(picture(upper))]) {
        find(upper, path)!.setAttributes({ uid: process.getuid!(), gid: process.getgid!() }, none)
      }
    for (const form of ['snapshot', 'layer'] as const) {
      const file = join(folder, `ours-${form}.tar`)
      writeFileSync(file, archived(upper, form))
      const listed = tar('-tf', file, '--quoting-style=literal').toString().split('\n')
      expect(listed).toContain(form === 'snapshot' ? './sub/grüße 日本' : 'sub/grüße 日本')
      const root = join(folder, `out-${form}`)
      mkdirSync(root)
      tar('-C', root, '-xpf', file, '--numeric-owner')
      expect(onDisk(root)).toEqual(ours(upper))
      expect(statSync(join(root, 'hole')).blocks).toBeLessThan(64)
      // What it makes of that again, we read as the same.
      expect(ours(unarchived(tar('-C', root, '-c', '--format=pax', '--sparse', '.'), form).root)).toEqual(ours(upper))
    }
  })

  test('D057 extended attributes go to the disk and come back', (context) => {
    const upper = tmpfsOf(testVfs(), {
      f: { kind: 'file', text: 'x', xattrs: { 'user.note': 'text', 'user.other': 'a b=c' } },
    })
    const file = join(folder, 'xattrs.tar')
    writeFileSync(file, archived(upper.root, 'layer'))
    const root = join(folder, 'xattrs')
    mkdirSync(root)
    const { stderr } = spawnSync('tar', ['-C', root, '--xattrs', '-xf', file], { encoding: 'utf8' })
    if (/not supported|not permitted/.test(stderr)) context.skip('this disk has no extended attributes')
    const { xattrs } = find(unarchived(tar('-C', root, '-c', '--format=pax', '--xattrs', '.'), 'layer').root, 'f')!
    expect(
      Object.fromEntries([...xattrs!.keys()].map((key) => [key, Buffer.from(xattrs!.get(key)!).toString()])),
    ).toEqual({
      ...{ 'user.note': 'text', 'user.other': 'a b=c' },
    })
  })
})
