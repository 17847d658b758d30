"""
Makes system calls for linux.ts: a line of JSON comes in by one FIFO, `[task, call, arguments]`, and its answer goes out by
another, `{"ok": …}` or `{"errno": …}`.

`start` forks an arena: a process with a mount namespace of its own, in which `/` is a new tmpfs. Task 0 is the arena itself, as
root; each further task is a fork of it with credentials and descriptors of its own. `end` ends the arena, and all goes with it.
"""

import ctypes
import fcntl
import json
import os
import resource
import signal
import socket
import struct
import sys

libc = ctypes.CDLL(None, use_errno=True)
i64 = ctypes.c_int64
for name in ("lseek", "syscall", "getdents64", "readlinkat"):
    getattr(libc, name).restype = i64

SYS_FACCESSAT2, SYS_FCHMODAT2 = 439, 452
CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 0x40000
KINDS = {0o10: "file", 0o4: "directory", 0o12: "symlink", 0o1: "fifo", 0o14: "socket", 0o2: "char", 0o6: "block"}
TYPES = {kind: number << 12 for number, kind in KINDS.items()}
NOW, OMIT = (1 << 30) - 1, (1 << 30) - 2


def call(function, *arguments):
    result = getattr(libc, function)(*arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), function)
    return result


def path(text):
    return text.encode("utf-8")


def timespec(text):
    time = int(text)
    if time >= 1 << 100:
        return 0, NOW if time == 1 << 100 else OMIT
    return time // 10**9, time % 10**9


def stat(dirfd, at, flags):
    buffer = ctypes.create_string_buffer(256)
    call("statx", dirfd, at, flags, 0xFFF, buffer)
    (_, blksize, _, nlink, uid, gid, mode, ino, size, blocks, _) = struct.unpack_from("=IIQIIIHxxQQQQ", buffer, 0)
    times = [struct.unpack_from("=qI", buffer, 64 + 16 * i) for i in range(4)]
    atime, btime, ctime, mtime = (str(seconds * 10**9 + nanoseconds) for seconds, nanoseconds in times)
    rmajor, rminor, major, minor = struct.unpack_from("=IIII", buffer, 128)
    return {
        "dev": major * 0x100000 + minor, "ino": ino, "mode": mode, "nlink": nlink, "uid": uid, "gid": gid,
        "rdev": rmajor * 0x100000 + rminor, "size": size, "blksize": blksize, "blocks": blocks,
        "atime": atime, "mtime": mtime, "ctime": ctime, "btime": btime,
    }  # fmt: skip


def listing(fd, cookie, size):
    call("lseek", fd, i64(cookie), 0)
    entries, room = [], size
    while room > 0:
        buffer = ctypes.create_string_buffer(4096)
        count = call("getdents64", fd, buffer, ctypes.c_size_t(4096))
        if count == 0:
            break
        at = 0
        while at < count and room > 0:
            ino, after, length, kind = struct.unpack_from("=QqHB", buffer, at)
            name = ctypes.string_at(ctypes.addressof(buffer) + at + 19)
            entries.append({"name": name.decode(), "ino": ino, "kind": KINDS[kind], "cookie": after})
            room -= 24 + len(name)
            at += length
    return entries


def filesystem(at):
    buffer = ctypes.create_string_buffer(256)
    call("statfs", path(at), buffer)
    kind, block, blocks, free, _, files, files_free, _, _, name_max, _, flags = struct.unpack_from("=qqQQQQQiiqqq", buffer, 0)
    return {
        "type": kind, "blockSize": block, "blocks": blocks, "blocksFree": free, "files": files, "filesFree": files_free,
        "nameMax": name_max, "flags": flags,
    }  # fmt: skip


def read(fd, lengths, offset=None):
    buffers = [bytearray(length) for length in lengths]
    if offset is not None and offset < 0:  # preadv of Python takes -1 for "here"
        return [0, os.pread(fd, 1, offset).hex()]
    count = os.readv(fd, buffers) if offset is None else os.preadv(fd, buffers, offset)
    return [count, b"".join(buffers)[:count].hex()]


def write(fd, parts, offset=None):
    buffers = [bytes.fromhex(part) for part in parts]
    if offset is not None and offset < 0:
        return os.pwrite(fd, buffers[0], offset)
    return os.writev(fd, buffers) if offset is None else os.pwritev(fd, buffers, offset)


def utimes(dirfd, at, atime, mtime, flags):
    times = struct.pack("=qqqq", *timespec(atime), *timespec(mtime))
    call("utimensat", dirfd, path(at), times, flags)


def readlink(dirfd, at):
    buffer = ctypes.create_string_buffer(8192)
    length = call("readlinkat", dirfd, path(at), buffer, ctypes.c_size_t(8192))
    return buffer.raw[:length].decode()


def execute(at):
    """Runs the file in a child: an error of execve(2), or nothing."""
    out, into = os.pipe()
    child = os.fork()
    if child == 0:
        os.set_inheritable(into, False)
        try:
            os.execve(at, [at], {})
        except OSError as error:
            os.write(into, struct.pack("=i", error.errno))
        os._exit(1)
    os.close(into)
    answer = os.read(out, 4)
    os.close(out)
    os.waitpid(child, 0)
    if answer:
        raise OSError(struct.unpack("=i", answer)[0], "execve")


CALLS = {
    "openat": lambda dirfd, at, flags, mode: call("openat", dirfd, path(at), flags, mode),
    "close": os.close,
    "dup": os.dup,
    "readv": read,
    "preadv": read,
    "writev": write,
    "pwritev": write,
    "lseek": lambda fd, offset, whence: call("lseek", fd, i64(offset), whence),
    "fstat": lambda fd: stat(fd, b"", 0x1000),
    "fstatat": lambda dirfd, at, flags: stat(dirfd, path(at), flags),
    "getdents": listing,
    "mkdirat": lambda dirfd, at, mode: call("mkdirat", dirfd, path(at), mode),
    "mknodat": lambda dirfd, at, kind, mode, rdev: call(
        "mknodat", dirfd, path(at), TYPES[kind] | mode, ctypes.c_uint64(os.makedev(rdev >> 20, rdev & 0xFFFFF))
    ),
    "unlinkat": lambda dirfd, at, flags: call("unlinkat", dirfd, path(at), flags),
    "renameat2": lambda a, old, b, new, flags: call("renameat2", a, path(old), b, path(new), flags),
    "linkat": lambda a, old, b, new, flags: call("linkat", a, path(old), b, path(new), flags),
    "symlinkat": lambda target, dirfd, at: call("symlinkat", path(target), dirfd, path(at)),
    "readlinkat": readlink,
    "truncate": lambda at, size: call("truncate", path(at), i64(size)),
    "ftruncate": lambda fd, size: call("ftruncate", fd, i64(size)),
    "fallocate": lambda fd, mode, offset, length: call("fallocate", fd, mode, i64(offset), i64(length)),
    "fsync": lambda fd: call("fsync", fd),
    "fdatasync": lambda fd: call("fdatasync", fd),
    "utimensat": utimes,
    "fchmodat": lambda dirfd, at, mode, flags: call("syscall", SYS_FCHMODAT2, dirfd, path(at), mode, flags),
    "fchownat": lambda dirfd, at, uid, gid, flags: call("fchownat", dirfd, path(at), uid, gid, flags),
    "faccessat": lambda dirfd, at, mode, flags: call("syscall", SYS_FACCESSAT2, dirfd, path(at), mode, flags),
    "getfl": lambda fd: call("fcntl", fd, 3),
    "setfl": lambda fd, flags: call("fcntl", fd, 4, flags),
    "dup3": lambda old, new: call("dup3", old, new, 0),
    "chdir": lambda at: call("chdir", path(at)),
    "chroot": os.chroot,
    "getcwd": lambda: os.getcwd(),
    "umask": os.umask,
    "statfs": filesystem,
    "execute": execute,
    "umount": lambda at, flags: call("umount2", path(at), flags),
    "mount": lambda source, at, kind, flags, data: call(
        "mount", path(source), path(at), path(kind), ctypes.c_ulong(flags), path(data)
    ),
}


def answer(function, arguments):
    signal.setitimer(signal.ITIMER_REAL, 5)  # a call that waits for ever is EINTR
    try:
        result = {"ok": function(*arguments)}
    except OSError as error:
        result = {"errno": error.errno}
    signal.setitimer(signal.ITIMER_REAL, 0)
    return json.dumps(result).encode() + b"\n"


def line(fd, read=os.read):
    text = b""
    while not text.endswith(b"\n"):
        more = read(fd, 65536)
        if not more:
            os._exit(0)
        text += more
    return json.loads(text)


def become(uid, gid, groups, capabilities, file_size):
    """Takes on credentials; `capabilities` is a mask, or None for what the user id brings."""
    if file_size is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))
    os.setgroups(groups)
    os.setresgid(gid, gid, gid)
    if capabilities is not None:
        libc.prctl(8, 1, 0, 0, 0)  # PR_SET_KEEPCAPS
    os.setresuid(uid, uid, uid)
    if capabilities is not None:
        head = struct.pack("=Ii", 0x20080522, 0)
        call("capset", head, struct.pack("=6I", capabilities, capabilities, 0, 0, 0, 0))


def keep(fd, at):
    """Moves a descriptor out of the way of those that are to be tested."""
    os.dup2(fd, at, inheritable=False)
    os.close(fd)
    return at


def fork_task(credentials):
    ours, theirs = socket.socketpair()
    ours, theirs = ours.detach(), theirs.detach()
    if os.fork() > 0:
        os.close(theirs)
        return keep_high(ours)
    os.closerange(0, 3)
    theirs = keep(theirs, 900)
    os.closerange(3, 900)
    os.closerange(901, 1024)
    signal.signal(signal.SIGALRM, lambda *_: None)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    signal.siginterrupt(signal.SIGALRM, True)
    os.umask(0o022)
    become(*credentials)
    while True:
        function, arguments = line(theirs)
        os.write(theirs, answer(CALLS[function], arguments))


def keep_high(fd):
    high = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 600)
    os.close(fd)
    return high


def arena(requests, answers, data, root):
    call("unshare", CLONE_NEWNS)
    call("mount", b"none", b"/", None, ctypes.c_ulong(MS_REC | MS_PRIVATE), None)
    call("mount", b"tmpfs", path(root), b"tmpfs", ctypes.c_ulong(0), path(data))
    os.chroot(root)
    os.chdir("/")
    tasks = []
    os.write(answers, b'{"ok": null}\n')
    while True:
        task, function, arguments = line(requests)
        if function == "end":
            os.write(answers, b'{"ok": null}\n')
            os._exit(0)
        if function == "fork":
            tasks.append(fork_task(arguments))
            os.write(answers, json.dumps({"ok": len(tasks)}).encode() + b"\n")
        elif task == 0:
            os.write(answers, answer(CALLS[function], arguments))
        else:
            os.write(tasks[task - 1], json.dumps([function, arguments]).encode() + b"\n")
            os.write(answers, json.dumps(line(tasks[task - 1])).encode() + b"\n")


def main():
    requests, answers, root = os.open(sys.argv[1], os.O_RDONLY), os.open(sys.argv[2], os.O_WRONLY), sys.argv[3]
    while True:
        data = line(requests)[2][0]
        if os.fork() == 0:
            try:
                arena(requests, answers, data, root)
            except OSError as error:
                os.write(answers, json.dumps({"errno": error.errno}).encode() + b"\n")
            finally:
                os._exit(1)
        os.wait()


if sys.argv[1] == "check":
    # Whether this machine lets us: Linux, new enough calls, root.
    call("unshare", CLONE_NEWNS)
    call("statx", -100, b"/", 0, 0xFFF, ctypes.create_string_buffer(256))
    getattr(libc, "renameat2"), getattr(libc, "getdents64"), getattr(libc, "capset")
    print("ready")
else:
    main()
