"""
Runs cases of src/testing/unions.ts on this Linux's overlayfs, each on fresh layers, and says what came of it. Needs root.

Stdin: a line of JSON per case, {"upper": tree, "lowers": [trees, the top one first], "operations": [[name, ...arguments]]}.
Stdout: a line per case, {"results": [...], "merged": [lines], "upper": [lines], "inos": {path: "kept" | "changed"},
"phantom": whether a directory listed a name that is not there}.
Directories are redirected when they are renamed; inode numbers are constant (redirect_dir=on, xino=on).
"""

import ctypes, errno, json, os, socket, stat, sys

libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, MS_REC, MS_PRIVATE, MNT_DETACH, AT_FDCWD = 0x20000, 0x4000, 0x40000, 2, -100
BASE = '/mnt'
THEN = 1000


def call(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), '')
    return result


def mount(source, target, kind, flags, data=''):
    call(libc.mount(source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), data.encode()))


def plant(root, tree):
    directories = []
    for path, what in tree.items():
        at = os.path.join(root, path)
        parent = os.path.dirname(at)
        if not os.path.isdir(parent):
            os.makedirs(parent)
        kind, _, text = what.partition(' ')
        if kind == 'file':
            with open(at, 'w') as file:
                file.write(text)
            os.chmod(at, 0o644)
        elif kind in ('dir', 'opaque'):
            if not os.path.isdir(at):
                os.mkdir(at)
            if kind == 'opaque':
                os.setxattr(at, 'trusted.overlay.opaque', b'y')
        elif kind == 'link': os.symlink(text, at)
        elif kind == 'fifo': os.mkfifo(at, 0o644)
        elif kind == 'socket': os.mknod(at, stat.S_IFSOCK | 0o644)
        elif kind == 'char': os.mknod(at, stat.S_IFCHR | 0o644, os.makedev(1, 3))
        elif kind == 'block': os.mknod(at, stat.S_IFBLK | 0o644, os.makedev(7, 0))
        elif kind == 'whiteout': os.mknod(at, stat.S_IFCHR, os.makedev(0, 0))
        elif kind == 'same': os.link(os.path.join(root, text), at, follow_symlinks=False)
        else: raise ValueError(what)
    for at, names, files in os.walk(root, topdown=False):
        for name in names + files:
            os.utime(os.path.join(at, name), (THEN, THEN), follow_symlinks=False)
    os.utime(root, (THEN, THEN))


def words(at, raw):
    s = os.lstat(at)
    kind = stat.S_IFMT(s.st_mode)
    if kind == stat.S_IFCHR and s.st_rdev == 0:
        return 'whiteout'
    names = {stat.S_IFREG: 'file', stat.S_IFDIR: 'dir', stat.S_IFLNK: 'link', stat.S_IFIFO: 'fifo', stat.S_IFSOCK: 'socket', stat.S_IFCHR: 'char', stat.S_IFBLK: 'block'}
    parts = [names[kind], '%o' % (s.st_mode & 0o7777), '%d:%d' % (s.st_uid, s.st_gid) if s.st_uid or s.st_gid else '', '' if s.st_mtime == THEN else 'now']
    if kind == stat.S_IFREG:
        parts.append(open(at, errors='replace').read())
        if s.st_nlink > 1 and raw: parts.append('x%d' % s.st_nlink)
    elif kind == stat.S_IFLNK: parts.append(os.readlink(at))
    elif kind in (stat.S_IFCHR, stat.S_IFBLK): parts.append('%d:%d' % (os.major(s.st_rdev), os.minor(s.st_rdev)))
    names = sorted(os.listxattr(at, follow_symlinks=False))
    parts += [name for name in names if name.startswith('user.')]
    if raw and 'trusted.overlay.opaque' in names and os.getxattr(at, 'trusted.overlay.opaque') == b'y': parts.append('opaque')
    if raw and 'trusted.overlay.redirect' in names: parts.append('redirect')
    return ' '.join(filter(None, parts))


phantom = False


def names_in(root):
    """Sorted. A directory that merges with nothing lists its whiteouts, and is not empty then, though no such name is there."""
    global phantom
    names = sorted(os.listdir(root))
    there = [name for name in names if os.path.lexists(os.path.join(root, name))]
    phantom = phantom or there != names
    return there


def picture(root, raw, prefix=''):
    seen = []
    for name in names_in(root):
        at = os.path.join(root, name)
        seen.append('%s%s: %s' % (prefix, name, words(at, raw)))
        if stat.S_ISDIR(os.lstat(at).st_mode):
            seen += picture(at, raw, prefix + name + '/')
    return seen


def inos(root, prefix=''):
    found = {}
    for name in names_in(root):
        at = os.path.join(root, name)
        s = os.lstat(at)
        found[prefix + name] = s.st_ino
        if stat.S_ISDIR(s.st_mode): found.update(inos(at, prefix + name + '/'))
    return found


def opened(path, flags, mode=0o644):
    return os.open(path, flags, mode)


def run(name, *a):
    if name == 'open': os.close(opened(*a))
    elif name == 'write':
        fd = opened(a[0], a[1])
        try: os.write(fd, a[2].encode())
        finally: os.close(fd)
    elif name == 'mkdir': os.mkdir(a[0], 0o755)
    elif name == 'mknod': os.mknod(a[0], {'file': stat.S_IFREG, 'fifo': stat.S_IFIFO, 'socket': stat.S_IFSOCK, 'char': stat.S_IFCHR, 'whiteout': stat.S_IFCHR}[a[1]] | 0o644, os.makedev(1, 3) if a[1] == 'char' else 0)
    elif name == 'symlink': os.symlink(a[0], a[1])
    elif name == 'link': os.link(a[0], a[1], follow_symlinks=False)
    elif name == 'unlink': os.unlink(a[0])
    elif name == 'rmdir': os.rmdir(a[0])
    elif name == 'rename': call(libc.renameat2(AT_FDCWD, a[0].encode(), AT_FDCWD, a[1].encode(), a[2]))
    elif name == 'chmod': os.chmod(a[0], a[1])
    elif name == 'chown': os.chown(a[0], a[1], a[2], follow_symlinks=True)
    elif name == 'lchown': os.chown(a[0], a[1], a[2], follow_symlinks=False)
    elif name == 'utimes': os.utime(a[0], (5, 5), follow_symlinks=False)
    elif name == 'truncate': os.truncate(a[0], a[1])
    elif name == 'setxattr': os.setxattr(a[0], a[1], b'v', follow_symlinks=False)
    elif name == 'getxattr': return os.getxattr(a[0], a[1], follow_symlinks=False).decode()
    elif name == 'removexattr': os.removexattr(a[0], a[1], follow_symlinks=False)
    elif name == 'listxattr': return ' '.join(sorted(os.listxattr(a[0], follow_symlinks=False)))
    elif name == 'readdir': return ' '.join(names_in(a[0]))
    elif name == 'stat': os.lstat(a[0])
    elif name == 'readlink': return os.readlink(a[0])
    elif name == 'access': call(libc.access(a[0].encode(), a[1]))
    else: raise ValueError(name)
    return 'ok'


def answer(operation):
    try:
        return run(*operation)
    except OSError as error:
        return errno.errorcode[error.errno]


def case(upper, lowers, operations):
    global phantom
    phantom = False
    mount('layers', BASE, 'tmpfs', 0)
    os.chdir(BASE)
    names = ['l%d' % i for i in range(len(lowers))]
    for name in ['u', 'w', 'm', *names]: os.mkdir(name)
    for name, tree in zip(['u', *names], [upper, *lowers]): plant(name, tree)
    mount('o', 'm', 'overlay', 0, 'lowerdir=%s,upperdir=u,workdir=w,redirect_dir=on,xino=on' % ':'.join(names))
    before = inos('m')
    os.chdir('m')
    results = [answer(operation) for operation in operations]
    os.chdir(BASE)
    after = inos('m')
    told = dict(
        results=results,
        merged=picture('m', False),
        upper=picture('u', True),
        inos={path: 'kept' if after[path] == ino else 'changed' for path, ino in before.items() if path in after},
        phantom=phantom,
    )
    os.chdir('/')
    call(libc.umount2((BASE + '/m').encode(), 0))
    call(libc.umount2(BASE.encode(), MNT_DETACH))
    return told


call(libc.unshare(CLONE_NEWNS))
mount('none', '/', '', MS_REC | MS_PRIVATE)
os.umask(0o022)
for line in sys.stdin:
    print(json.dumps(case(**json.loads(line))), flush=True)
