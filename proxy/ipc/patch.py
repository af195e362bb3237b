"""Makes a process one that waits in greenlets. For `__main__` only, before anything with sockets is imported."""

from gevent import monkey


def patch() -> None:
    """Let the standard library's waiting be gevent's.

    Not `os`: gevent's close waits for the loop's next turn, and until then the kernel accepts connections for nobody on
    a listening socket that was closed. Nobody forks here, which is what the rest of it, and `signal`, are for.
    """
    monkey.patch_all(os=False, signal=False)
