"""The deployer's process: it watches, and works off what there is to do while it leads.

Followers know as much as the leader, so that the next one begins at once: with everything, since what a leader did
last is not known. Each watch waits in a thread of its own, the Lease in another; this one writes.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable

from proxy.kubernetes.api.client import Client
from proxy.kubernetes.api.faults import ApiFault
from proxy.kubernetes.api.lease import Lease
from proxy.kubernetes.deployer.children import Site
from proxy.kubernetes.deployer.health import Health
from proxy.kubernetes.deployer.known import Known
from proxy.kubernetes.deployer.queue import Queue, Task
from proxy.kubernetes.deployer.work import Work
from proxy.kubernetes.deployer.writer import Foreign, NotLeading, Writer

logger = logging.getLogger("deployer")
EVERYTHING_S = 60.0
"""How often everything is looked at again: a password that changed, what is not watched. It costs no request."""
RETRY_S = 5.0
TURN_S = 0.5


class Deployer:
    """All of it. `site` is asked at each look, since files it is read from change."""

    def __init__(
        self, client: Client, lease: Lease, site: Callable[[], Site], health: str, istiods_class: str = ""
    ) -> None:
        self._lease = lease
        self._site = site
        self._queue = Queue()
        self._known = Known(client, self._queue.add)
        self._writer = Writer(client, self._known, lambda: lease.held)
        self._work = Work(self._known, self._writer, site, istiods_class)
        self._health = Health(health, self._reason, self._is_alive, lambda: lease.held)
        self._stopping = threading.Event()
        self._turned_at = time.monotonic()
        self._said: dict[Task, str] = {}

    def run(self) -> None:
        """Until TERM or INT. OSError: the health page's address cannot be had."""
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, lambda *_: self._stopping.set())
        self._health.start()
        self._known.start()
        following = threading.Thread(target=self._follow_lease, name="lease", daemon=True)
        following.start()
        while not self._stopping.is_set():
            self._turned_at = time.monotonic()
            if self._lease.held:
                self._lead()
            else:
                self._stopping.wait(TURN_S)
        following.join(timeout=1)
        self._lease.release()

    def _follow_lease(self) -> None:
        wait = 0.0
        while not self._stopping.wait(wait):
            # Who knows nothing yet should not keep others from leading.
            wait = self._lease.turn() if not self._known.reason else TURN_S

    def _lead(self) -> None:
        self._writer.forget()
        again_at = 0.0
        while self._lease.held and not self._stopping.is_set():
            self._turned_at = time.monotonic()
            if self._turned_at >= again_at:
                again_at = self._turned_at + (EVERYTHING_S if self._site_is_there() else RETRY_S)
                for key in self._work.everything():
                    self._queue.add(key)
            if due := self._queue.take(TURN_S):
                self._do(due)

    def _site_is_there(self) -> bool:
        """Redis waits for its password, also where there is no Gateway yet."""
        try:
            self._site()
        except ApiFault as fault:
            logger.warning("what waypoints need to get to Redis cannot be read: %s", fault)
            return False
        return True

    def _do(self, key: Task) -> None:
        try:
            again_s = self._work.look_at(key)
        except NotLeading:
            return
        except (ApiFault, Foreign) as fault:
            if self._said.get(key) != str(fault):
                logger.warning("%s: %s", "/".join(filter(None, key)), fault)
            self._said[key] = str(fault)
            self._queue.failed(key, fault.retry_after_s if isinstance(fault, ApiFault) else 0.0)
        except Exception:  # ours; and no reason for all other Gateways to wait
            logger.exception("%s: cannot be seen to", "/".join(filter(None, key)))
            self._queue.failed(key)
        else:
            self._said.pop(key, None)
            self._queue.well(key)
            if again_s is not None:
                self._queue.add(key, again_s)

    def _reason(self) -> str:
        return self._known.reason

    def _is_alive(self) -> bool:
        return time.monotonic() - self._turned_at < EVERYTHING_S * 2
