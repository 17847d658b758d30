/** Linux constants as user space sees them: fcntl.h, sys/stat.h, poll.h, linux/capability.h (asm-generic values). */

export const O_ACCMODE = 0o3
export const O_RDONLY = 0o0
export const O_WRONLY = 0o1
export const O_RDWR = 0o2
export const O_CREAT = 0o100
export const O_EXCL = 0o200
export const O_NOCTTY = 0o400
export const O_TRUNC = 0o1000
export const O_APPEND = 0o2000
export const O_NONBLOCK = 0o4000
export const O_DSYNC = 0o10000
export const O_ASYNC = 0o20000
export const O_DIRECT = 0o40000
export const O_LARGEFILE = 0o100000
export const O_DIRECTORY = 0o200000
export const O_NOFOLLOW = 0o400000
export const O_NOATIME = 0o1000000
export const O_CLOEXEC = 0o2000000
export const O_SYNC = 0o4010000
export const O_PATH = 0o10000000
export const O_TMPFILE = 0o20200000

export const S_IFMT = 0o170000
export const S_IFSOCK = 0o140000
export const S_IFLNK = 0o120000
export const S_IFREG = 0o100000
export const S_IFBLK = 0o060000
export const S_IFDIR = 0o040000
export const S_IFCHR = 0o020000
export const S_IFIFO = 0o010000
export const S_ISUID = 0o4000
export const S_ISGID = 0o2000
export const S_ISVTX = 0o1000

/** Stands for the working directory where a call takes a directory's descriptor. */
export const AT_FDCWD = -100
export const AT_SYMLINK_NOFOLLOW = 0x100
export const AT_REMOVEDIR = 0x200
export const AT_EACCESS = 0x200
export const AT_SYMLINK_FOLLOW = 0x400
export const AT_NO_AUTOMOUNT = 0x800
export const AT_EMPTY_PATH = 0x1000

export const RENAME_NOREPLACE = 1
export const RENAME_EXCHANGE = 2
export const RENAME_WHITEOUT = 4

export const SEEK_SET = 0
export const SEEK_CUR = 1
export const SEEK_END = 2
export const SEEK_DATA = 3
export const SEEK_HOLE = 4

export const FALLOC_FL_KEEP_SIZE = 1
export const FALLOC_FL_PUNCH_HOLE = 2

export const R_OK = 4
export const W_OK = 2
export const X_OK = 1

export const POLLIN = 0x1
export const POLLOUT = 0x4
export const POLLERR = 0x8
export const POLLHUP = 0x10
export const POLLNVAL = 0x20

/** In a time argument of utimensat: the current time; leave as it is. Out of the range of real times. */
export const UTIME_NOW = 1n << 100n
export const UTIME_OMIT = 1n << 101n

export const PATH_MAX = 4096
export const NAME_MAX = 255

export const CAP_CHOWN = 1 << 0
export const CAP_DAC_OVERRIDE = 1 << 1
export const CAP_DAC_READ_SEARCH = 1 << 2
export const CAP_FOWNER = 1 << 3
export const CAP_FSETID = 1 << 4
export const CAP_KILL = 1 << 5
export const CAP_SYS_CHROOT = 1 << 18
export const CAP_SYS_PTRACE = 1 << 19
export const CAP_SYS_ADMIN = 1 << 21
export const CAP_SYS_RESOURCE = 1 << 24
export const CAP_MKNOD = 1 << 27
export const CAP_SETFCAP = 1 << 31

export const SIGINT = 2
export const SIGABRT = 6
export const SIGKILL = 9
export const SIGPIPE = 13
export const SIGTERM = 15
export const SIGXFSZ = 25
