"""
Runs scripts of mount operations on this Linux, each in namespaces of its own, and says what came of it. Needs root.

Stdin: a line of JSON per script, a list of operations [task, name, ...arguments] as src/testing/mount-script.ts runs them.
Stdout: a line per script, {"results": ["ok" or an error's name, ...], "tables": [[lines of mountinfo], ...one per task]}.
The first task's / is a fresh tmpfs, called base, on the first root; all is private; a `fork` makes the next task.
"""

import ctypes, errno, json, os, socket, sys

libc = ctypes.CDLL(None, use_errno=True)
FLAGS = dict(
    rdonly=1, nosuid=2, nodev=4, noexec=8, remount=32, noatime=1 << 10, nodiratime=1 << 11, bind=1 << 12, move=1 << 13,
    rec=1 << 14, unbindable=1 << 17, private=1 << 18, slave=1 << 19, shared=1 << 20, relatime=1 << 21, strictatime=1 << 24,
)
CLONE_NEWNS, CLONE_NEWUSER, MNT_DETACH, AT_FDCWD = 0x20000, 0x10000000, 2, -100
GETCWD, PIVOT_ROOT, OPEN_TREE, MOVE_MOUNT = 79, 155, 428, 429  # x86-64
proc = os.open('/proc', os.O_RDONLY | os.O_DIRECTORY)


def call(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), '')
    return result


def text(argument):
    return None if argument is None else argument.encode()


def bits(names):
    return sum(FLAGS[name] for name in names.split(',') if name)


def mount(source, target, kind, flags, data=None):
    call(libc.mount(text(source), text(target), text(kind), ctypes.c_ulong(flags), text(data)))


def write(name, value):
    fd = os.open('%d/%s' % (os.getpid(), name), os.O_WRONLY, dir_fd=proc)
    os.write(fd, value.encode())
    os.close(fd)


def run(fds, name, *a):
    at = lambda key: AT_FDCWD if key is None else fds[key]
    if name == 'mount': mount(a[1] or 'none', a[0], a[2], bits(a[3]), a[4] if len(a) > 4 else None)
    elif name == 'umount': call(libc.umount2(text(a[0]), a[1]))
    elif name == 'mkdir': os.mkdir(a[0])
    elif name == 'rmdir': os.rmdir(a[0])
    elif name == 'rename': os.rename(a[0], a[1])
    elif name == 'create': os.close(os.open(a[0], os.O_CREAT | os.O_WRONLY | os.O_EXCL))
    elif name == 'unlink': os.unlink(a[0])
    elif name == 'stat': os.stat(a[0])
    elif name == 'chdir': os.chdir(a[0])
    elif name == 'chroot': os.chroot(a[0])
    elif name == 'pivot': call(libc.syscall(PIVOT_ROOT, text(a[0]), text(a[1])))
    elif name == 'open': fds[a[0]] = os.open(a[1], {'r': os.O_RDONLY, 'w': os.O_WRONLY, 'p': os.O_PATH}[a[2]])
    elif name == 'close': os.close(fds.pop(a[0]))
    elif name == 'opentree': fds[a[0]] = call(libc.syscall(OPEN_TREE, at(a[1]), text(a[2]), a[3]))
    elif name == 'movemount': call(libc.syscall(MOVE_MOUNT, at(a[0]), text(a[1]), at(a[2]), text(a[3]), a[4]))
    elif name == 'unshare': call(libc.unshare(CLONE_NEWNS))
    elif name == 'unshareuser':
        call(libc.unshare(CLONE_NEWUSER | CLONE_NEWNS))
        write('setgroups', 'deny')
        write('uid_map', '0 0 1')
        write('gid_map', '0 0 1')
    elif name == 'getcwd':
        path = ctypes.create_string_buffer(4096)
        call(libc.syscall(GETCWD, path, 4096))
        return path.value.decode()
    else: raise ValueError(name)
    return 'ok'


def answer(fds, operation):
    try:
        return run(fds, *operation)
    except OSError as error:
        return errno.errorcode[error.errno]
    except KeyError:
        return 'EBADF'


def table():
    fd = os.open('%d/mountinfo' % os.getpid(), os.O_RDONLY, dir_fd=proc)
    with os.fdopen(fd, 'rb') as file:
        return file.read().decode().splitlines()


def serve(pipe, fds):
    """A task: answers operations until its other end is closed. A fork has the same files open."""
    lines = pipe.makefile('rw')
    for line in iter(lines.readline, ''):
        operation = json.loads(line)
        if operation[0] == 'fork':
            ours, theirs = socket.socketpair()
            if os.fork() == 0:
                ours.close()
                pipe.close()
                serve(theirs, fds)
            theirs.close()
            socket.send_fds(pipe, [b'x'], [ours.fileno()])
            ours.close()
            continue
        lines.write(json.dumps(table() if operation[0] == 'table' else answer(fds, operation)) + '\n')
        lines.flush()
    os._exit(0)


def first_task(pipe):
    call(libc.unshare(CLONE_NEWNS))
    mount('none', '/', None, bits('private,rec'))
    mount('base', '/mnt', 'tmpfs', 0)
    os.mkdir('/mnt/.old')
    call(libc.syscall(PIVOT_ROOT, b'/mnt', b'/mnt/.old'))
    os.chdir('/')
    call(libc.umount2(b'/.old', MNT_DETACH))
    os.rmdir('/.old')
    serve(pipe, {})


def script(operations):
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        try:
            ours.close()
            first_task(theirs)
        finally:
            os._exit(1)
    theirs.close()
    tasks = [(ours, ours.makefile('rw'))]

    def ask(task, operation):
        pipe, lines = tasks[task]
        lines.write(json.dumps(operation) + '\n')
        lines.flush()
        if operation[0] != 'fork':
            return json.loads(lines.readline())
        _, (fd, *_), *_ = socket.recv_fds(pipe, 1, 1)
        made = socket.socket(fileno=fd)
        tasks.append((made, made.makefile('rw')))
        return 'ok'

    results = [ask(task, operation) for task, *operation in operations]
    tables = [ask(task, ['table']) for task in range(len(tasks))]
    for pipe, lines in tasks:
        lines.close()
        pipe.close()
    os.waitpid(child, 0)
    return dict(results=results, tables=tables)


for line in sys.stdin:
    print(json.dumps(script(json.loads(line))), flush=True)
