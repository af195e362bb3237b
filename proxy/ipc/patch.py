"""Makes a process one that waits in greenlets. For `__main__` only, before anything waits.

A worker is read before it is patched, by the arbiter. What was imported before waits as gevent does all the same if it
asks the standard library's modules for what they have when it needs it (`socket.socket()`), and not once and for all
(`from socket import socket`): tests/unit/ipc/test_patch.py looks for those that do.
"""

import importlib
from importlib import metadata

from gevent import monkey

READ = (
    *("gevent.events", "gevent.local", "gevent.lock", "gevent.queue", "gevent.select", "gevent.selectors"),
    *("gevent.socket", "gevent.ssl", "gevent.subprocess", "gevent.threading", "gevent.time", "_threading_local"),
    *("gevent.resolver.thread", "gevent.threadpool", "encodings.idna"),
)
"""What patching would import, and the first connection to a host by its name."""
for name in READ:
    importlib.import_module(name)


def patch() -> None:
    """Let the standard library's waiting be gevent's.

    Not `os`: gevent's close waits for the loop's next turn, and until then the kernel accepts connections for nobody on
    a listening socket that was closed. Nobody forks here, which is what the rest of it, and `signal`, are for.
    """
    found = metadata.entry_points
    # For each module it looks for plugins, twice: reads what every installed package says of itself, 60 ms in all.
    metadata.entry_points = lambda **_: ()  # type: ignore[assignment]
    try:
        monkey.patch_all(os=False, signal=False)
    finally:
        metadata.entry_points = found
