"""
Runs scripts of what happens at a terminal on a pseudo-terminal of this Linux, and says what came of it.

Stdin: a line of JSON per script, [seconds to wait after each step, a list of steps as src/testing/terminal-script.ts runs them]:
the kernel hands what is typed to the line discipline in a work queue, which takes its time.
Stdout: a line per script, a list of [result, bytes that the screen got, names of signals], one per step.
"""

import errno, fcntl, json, os, pty, signal, sys, termios, time

FLAGS = dict(
    ixon=(0, termios.IXON), ixany=(0, termios.IXANY), icrnl=(0, termios.ICRNL), igncr=(0, termios.IGNCR),
    inlcr=(0, termios.INLCR), iutf8=(0, 0o40000), opost=(1, termios.OPOST), onlcr=(1, termios.ONLCR),
    ocrnl=(1, termios.OCRNL), isig=(3, termios.ISIG), icanon=(3, termios.ICANON), echo=(3, termios.ECHO),
    echoe=(3, termios.ECHOE), echok=(3, termios.ECHOK), echoke=(3, termios.ECHOKE), echonl=(3, termios.ECHONL),
    echoctl=(3, termios.ECHOCTL), iexten=(3, termios.IEXTEN), noflsh=(3, termios.NOFLSH),
)
CHARACTERS = dict(
    min=termios.VMIN, time=termios.VTIME, intr=termios.VINTR, quit=termios.VQUIT, erase=termios.VERASE, kill=termios.VKILL,
    eof=termios.VEOF, eol=termios.VEOL, eol2=termios.VEOL2, start=termios.VSTART, stop=termios.VSTOP, susp=termios.VSUSP,
    rprnt=termios.VREPRINT, werase=termios.VWERASE, lnext=termios.VLNEXT,
)
heard = []
for each in ('SIGINT', 'SIGQUIT', 'SIGTSTP'):
    signal.signal(getattr(signal, each), lambda number, _: heard.append(signal.Signals(number).name))
signal.signal(signal.SIGHUP, signal.SIG_IGN)
signal.signal(signal.SIGTTOU, signal.SIG_IGN)


def tell(slave, wanted):
    attributes = termios.tcgetattr(slave)
    for name, value in wanted.items():
        if name in FLAGS:
            word, bit = FLAGS[name]
            attributes[word] = attributes[word] | bit if value else attributes[word] & ~bit
        else:
            attributes[6][CHARACTERS[name]] = value if name in ('min', 'time') and not attributes[3] & termios.ICANON else bytes([value])
    termios.tcsetattr(slave, termios.TCSANOW, attributes)


def step(master, slave, what, argument):
    try:
        if what == 'type':
            return os.write(master, bytes(argument)) and 'ok'
        if what == 'write':
            return os.write(slave, bytes(argument)) and 'ok'
        if what == 'set':
            return tell(slave, argument) or 'ok'
        return list(os.read(slave, argument))
    except OSError as error:
        return errno.errorcode[error.errno]


def screen(master, settling):
    time.sleep(settling)
    shown = []
    while True:
        try:
            shown += os.read(master, 65536)
        except BlockingIOError:
            return shown


def run(settling, script):
    master, slave = pty.openpty()
    try:
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        for fd in (master, slave):
            os.set_blocking(fd, False)
        tell(slave, dict(iutf8=True))
        outcome = []
        for what, argument in script:
            heard.clear()
            result = step(master, slave, what, argument)
            outcome.append([result, screen(master, settling), list(heard)])
        return outcome
    finally:
        fcntl.ioctl(slave, termios.TIOCNOTTY)
        os.close(master)
        os.close(slave)


if os.getpid() != os.getsid(0):
    os.setsid()
for line in sys.stdin:
    print(json.dumps(run(*json.loads(line)), separators=(',', ':')), flush=True)
