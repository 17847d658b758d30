/** tty and console: tty(4), console(4). Both lead to the terminal of who opens them, as a container's console does. */

import { ErrnoError } from '../abi/errno.ts'
import type { Device } from './device-registry.ts'

/** Major numbers, of /dev/tty, /dev/console and /dev/ptmx, and of slaves of pseudo-terminals: Linux, admin-guide/devices.txt. */
export const TTY_MAJOR = 5
export const PTS_MAJOR = 136

/** The devices of the session's terminal, to be registered. Opening one without a terminal is ENXIO. */
export const terminalDevices: readonly Device[] = [
  { name: 'tty', minor: 0, mode: 0o666 },
  { name: 'console', minor: 1, mode: 0o600 },
].map(({ name, minor, mode }) => ({
  kind: 'char',
  major: TTY_MAJOR,
  minor,
  group: `/dev/${name}`,
  path: name,
  mode,
  open({ session }) {
    const terminal = session?.terminal
    if (!terminal) throw new ErrnoError('ENXIO', undefined, 'the process has no terminal')
    return terminal.open()
  },
}))
