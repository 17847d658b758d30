/* Serves a filesystem at /dev/fuse, by nothing but the structs of linux/fuse.h: files and directories in memory, at first one file
 * `greeting`. Says `serving FD` when the device is open, and `unmounted` when it is told that it is. What is read of a file whose
 * name begins with `stuck` is never answered; of `half…` only the first 8 bytes of a reply are; writing to `dies…` ends it by 9. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { LOOKUP = 1, FORGET, GETATTR, SETATTR, MKDIR = 9, UNLINK, RMDIR, RENAME, OPEN = 14, READ, WRITE, STATFS, RELEASE,
       FSYNC = 20, FLUSH = 25, INIT, OPENDIR, READDIR, RELEASEDIR, CREATE = 35, INTERRUPT, DESTROY = 38 };
/* The numbers of Linux, which are not those of this C library. */
enum { L_ENOENT = 2, L_EINTR = 4, L_ENOSPC = 28, L_ENOSYS = 38, L_ENOTEMPTY = 39 };
enum { FATTR_MODE = 1, FATTR_SIZE = 8, DIRECTORY = 0040000, REGULAR = 0100000, TYPE = 0170000, MOST = 1 << 16, NODES = 256 };

struct in { uint32_t len, opcode; uint64_t unique, nodeid; uint32_t uid, gid, pid, padding; };
struct out { uint32_t len; int32_t error; uint64_t unique; };
struct attr { uint64_t ino, size, blocks, atime, mtime, ctime; uint32_t atimensec, mtimensec, ctimensec, mode, nlink, uid, gid,
              rdev, blksize, flags; };
struct attr_out { uint64_t valid; uint32_t valid_nsec, dummy; struct attr attr; };
struct entry_out { uint64_t nodeid, generation, entry_valid, attr_valid; uint32_t entry_nsec, attr_nsec; struct attr attr; };
struct open_out { uint64_t fh; uint32_t flags, padding; };
struct setattr_in { uint32_t valid, padding; uint64_t fh, size, lock_owner, atime, mtime, ctime;
                    uint32_t atimensec, mtimensec, ctimensec, mode, unused, uid, gid, unused5; };
struct io_in { uint64_t fh, offset; uint32_t size, io_flags; uint64_t lock_owner; uint32_t flags, padding; };
struct init_out { uint32_t major, minor, max_readahead, flags; uint16_t max_background, congestion; uint32_t max_write, time_gran;
                  uint16_t max_pages, map_alignment; uint32_t unused[8]; };
struct dirent_out { uint64_t ino, off; uint32_t namelen, type; };

/* A node is in use while its mode is not 0; what was removed stays until it is forgotten. Its number is its place, from 1 on. */
static struct node { uint32_t mode, parent; uint64_t lookups, size; char name[256]; char *data; } nodes[NODES + 1];
static int device;

static void say(uint64_t unique, int error, const void *data, size_t size) {
  struct out out = { sizeof out + size, -error, unique };
  struct iovec parts[] = { { &out, sizeof out }, { (void *)data, size } };
  if (writev(device, parts, size > 0 ? 2 : 1) < 0 && errno != ENOENT) perror("serve: a reply");
}

static uint32_t find(uint32_t parent, const char *name) {
  for (uint32_t i = 2; i <= NODES; i++)
    if (nodes[i].mode && nodes[i].parent == parent && strcmp(nodes[i].name, name) == 0) return i;
  return 0;
}

static uint32_t make(uint32_t parent, const char *name, uint32_t mode) {
  for (uint32_t i = 2; i <= NODES; i++) {
    if (nodes[i].mode || nodes[i].lookups) continue;
    nodes[i] = (struct node){ .mode = mode, .parent = parent };
    strncpy(nodes[i].name, name, 255);
    return i;
  }
  return 0;
}

static int resize(struct node *node, uint64_t size) {
  char *data = realloc(node->data, size ? size : 1);
  if (!data) return L_ENOSPC;
  if (size > node->size) memset(data + node->size, 0, size - node->size);
  node->data = data;
  node->size = size;
  return 0;
}

static void forget(struct node *node) {
  if (node->parent || node->lookups) return;
  free(node->data);
  *node = (struct node){ 0 };
}

static struct attr attributes(uint32_t i) {
  const struct node *node = &nodes[i];
  struct attr attr = { .ino = i, .size = node->size, .blocks = (node->size + 511) / 512, .mode = node->mode,
                       .nlink = node->mode & DIRECTORY ? 2 : 1, .blksize = 4096 };
  return attr;
}

static struct entry_out entry(uint32_t i) {
  nodes[i].lookups++;
  return (struct entry_out){ .nodeid = i, .attr = attributes(i) };
}

static size_t list(uint32_t parent, uint64_t offset, char *to, size_t room) {
  size_t at = 0;
  for (uint32_t i = offset < 2 ? 2 : offset + 1; i <= NODES; i++) {
    if (!nodes[i].mode || nodes[i].parent != parent) continue;
    struct dirent_out head = { i, i, strlen(nodes[i].name), nodes[i].mode >> 12 };
    size_t size = (sizeof head + head.namelen + 7) & ~7;
    if (at + size > room) break;
    memset(to + at, 0, size);
    memcpy(to + at, &head, sizeof head);
    memcpy(to + at + sizeof head, nodes[i].name, head.namelen);
    at += size;
  }
  return at;
}

static int removal(uint32_t parent, const char *name, int directory) {
  uint32_t i = find(parent, name);
  if (!i) return L_ENOENT;
  if (directory)
    for (uint32_t j = 2; j <= NODES; j++)
      if (nodes[j].mode && nodes[j].parent == i) return L_ENOTEMPTY;
  nodes[i].parent = 0;
  forget(&nodes[i]);
  return 0;
}

static void answer(struct in *in, char *body) {
  static char data[MOST];
  uint64_t unique = in->unique;
  uint32_t id = in->nodeid;
  struct node *node = &nodes[id <= NODES ? id : 0];
  switch (in->opcode) {
    case INIT: {
      struct init_out init = { .major = 7, .minor = 31, .flags = 1 << 5 | 1 << 22, .max_write = MOST, .max_pages = MOST / 4096 };
      return say(unique, 0, &init, sizeof init);
    }
    case FORGET:
      node->lookups -= *(uint64_t *)body;
      return forget(node);
    case INTERRUPT: { /* Only what is never answered is still there to be interrupted. */
      uint64_t given_up = *(uint64_t *)body;
      return say(given_up, L_EINTR, NULL, 0);
    }
    case LOOKUP: {
      uint32_t found = find(id, body);
      struct entry_out out = found ? entry(found) : (struct entry_out){ 0 };
      return say(unique, found ? 0 : L_ENOENT, &out, found ? sizeof out : 0);
    }
    case SETATTR: {
      struct setattr_in *set = (void *)body;
      if (set->valid & FATTR_SIZE && resize(node, set->size)) return say(unique, L_ENOSPC, NULL, 0);
      if (set->valid & FATTR_MODE) node->mode = (node->mode & TYPE) | (set->mode & 07777);
    } /* fall through */
    case GETATTR: {
      struct attr_out out = { .attr = attributes(id) };
      return say(unique, 0, &out, sizeof out);
    }
    case MKDIR:
    case CREATE: {
      const char *name = body + (in->opcode == MKDIR ? 8 : 16);
      uint32_t mode = ((uint32_t *)body)[in->opcode == MKDIR ? 0 : 1] & 07777;
      uint32_t made = make(id, name, mode | (in->opcode == MKDIR ? DIRECTORY : REGULAR));
      if (!made) return say(unique, L_ENOSPC, NULL, 0);
      struct { struct entry_out entry; struct open_out open; } out = { entry(made), { 0 } };
      return say(unique, 0, &out, in->opcode == MKDIR ? sizeof out.entry : sizeof out);
    }
    case UNLINK:
    case RMDIR:
      return say(unique, removal(id, body, in->opcode == RMDIR), NULL, 0);
    case RENAME: {
      const char *from = body + 8, *to = from + strlen(from) + 1;
      uint32_t target = *(uint64_t *)body, moved = find(id, from);
      removal(target, to, 0);
      nodes[moved].parent = target;
      strcpy(nodes[moved].name, to);
      return say(unique, 0, NULL, 0);
    }
    case OPEN:
    case OPENDIR: {
      struct open_out out = { 0 };
      return say(unique, 0, &out, sizeof out);
    }
    case READ: {
      struct io_in *io = (void *)body;
      if (strncmp(node->name, "stuck", 5) == 0) return;
      if (strncmp(node->name, "half", 4) == 0) {
        struct out half = { sizeof half, 0, unique };
        write(device, &half, 8);
        return;
      }
      uint64_t from = io->offset < node->size ? io->offset : node->size;
      uint64_t size = node->size - from < io->size ? node->size - from : io->size;
      return say(unique, 0, node->data + from, size);
    }
    case WRITE: {
      struct io_in *io = (void *)body;
      if (strncmp(node->name, "dies", 4) == 0) exit(9);
      uint64_t end = io->offset + io->size;
      if (end > node->size && resize(node, end)) return say(unique, L_ENOSPC, NULL, 0);
      memcpy(node->data + io->offset, body + sizeof *io, io->size);
      uint32_t out[2] = { io->size };
      return say(unique, 0, out, sizeof out);
    }
    case READDIR: {
      struct io_in *io = (void *)body;
      return say(unique, 0, data, list(id, io->offset, data, io->size < MOST ? io->size : MOST));
    }
    case RELEASE:
    case RELEASEDIR:
    case FSYNC:
      return say(unique, 0, NULL, 0);
    case DESTROY:
      say(unique, 0, NULL, 0);
      puts("unmounted");
      exit(0);
    default:
      return say(unique, L_ENOSYS, NULL, 0);
  }
}

int main(void) {
  static char buffer[MOST + 4096];
  nodes[1] = (struct node){ .mode = DIRECTORY | 0777, .lookups = 1 };
  struct node *greeting = &nodes[make(1, "greeting", REGULAR | 0666)];
  if (resize(greeting, 14) == 0) memcpy(greeting->data, "hello by fuse\n", 14);
  device = open("/dev/fuse", O_RDWR);
  if (device < 0) return perror("serve: /dev/fuse"), 1;
  printf("serving %d\n", device);
  fflush(stdout);
  for (;;) {
    ssize_t size = read(device, buffer, sizeof buffer);
    if (size >= (ssize_t)sizeof(struct in)) answer((struct in *)buffer, buffer + sizeof(struct in));
    else if (size < 0 && errno == EPERM) usleep(1000); /* not mounted yet */
    else if (size < 0) return perror("serve: reading"), 1;
  }
}
