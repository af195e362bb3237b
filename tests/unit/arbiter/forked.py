"""What test_forking has forked: tells in JSON what it finds itself to be, then ends as it is told to."""

import json
import os
import signal
import sys


def found() -> dict[str, object]:
    return {
        "arguments": sys.argv[1:],
        "fds": sorted(int(name) for name in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{name}")),
        "stdin": os.readlink("/proc/self/fd/0"),
        "title": open("/proc/self/cmdline").read().rstrip("\0"),
        "group": os.getpgid(0) == os.getpid(),
        "parent": os.getppid(),
        "ignored": [number for number in (signal.SIGHUP, signal.SIGINT) if signal.getsignal(number) == signal.SIG_IGN],
        "default": [number for number in (signal.SIGTERM, signal.SIGCHLD) if signal.getsignal(number) == 0],
        "blocked": list(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        "wakeup_fd": signal.set_wakeup_fd(-1),
    }


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["end", status]:
            sys.exit(int(status) if status.isdigit() else status)
        case ["fail"]:
            raise ValueError("a fault of the child's")
        case ["wait"]:
            signal.pause()
        case _:
            os.kill(os.getpid(), signal.SIGHUP)
            print(json.dumps(found()), flush=True)
