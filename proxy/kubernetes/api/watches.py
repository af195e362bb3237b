"""The watches of one sink: which of them run, which have not told everything yet, and what is wrong with them.

Each waits in a thread of its own, which is a greenlet where the process has been patched (`proxy.ipc.patch`). Not
locked: whoever is told by them in their threads has a lock already.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from proxy.kubernetes.api.client import Client
from proxy.kubernetes.api.faults import ApiFault
from proxy.kubernetes.api.poller import Poller
from proxy.kubernetes.api.reflector import Reflector, Sink
from proxy.kubernetes.api.resources import Watched


class Watches:
    """Those that tell `sink`. `told` says in words what is wrong with one."""

    def __init__(self, client: Client, sink: Sink, told: Callable[[Watched, ApiFault], str]) -> None:
        self._client = client
        self._sink = sink
        self._told = told
        self.running: dict[Watched, Reflector | Poller] = {}
        self.unsynced: set[Watched] = set()
        self.troubles: dict[Watched, ApiFault] = {}

    def begin(self, watched: Watched) -> None:
        """One more; it has told nothing yet."""
        reflector = (Poller if watched.name else Reflector)(self._client, watched, self._sink)
        self.running[watched] = reflector
        self.unsynced.add(watched)
        threading.Thread(target=reflector.run, name=f"watch {watched}", daemon=True).start()

    def end(self, watched: Watched) -> None:
        """One less; nothing is known of it any more."""
        self.running.pop(watched).stop()
        self.unsynced.discard(watched)
        self.troubles.pop(watched, None)

    def reason(self, waited_for: Iterable[Watched]) -> str:
        """Why these have not told everything yet, in one line: what is wrong first; "" when there are none."""
        waiting = sorted(waited_for)
        if troubled := [each for each in waiting if each in self.troubles]:
            return self._told(troubled[0], self.troubles[troubled[0]])
        return f"{waiting[0]} are being listed" if waiting else ""
