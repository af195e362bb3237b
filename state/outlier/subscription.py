"""Hearing from Redis what the fleet decided.

Messages may be lost (the connection breaks, the server restarts); the reader therefore reconciles with `sync` after
subscribing and every now and then. For one thread or greenlet at a time.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Any

from redis.client import PubSub

from state.errors import StoreUnavailable
from state.keys import Keys
from state.outlier.events import Event, parse
from state.server.failures import unavailable

_CONFIRM_S = 1.0  # how long the server may take to confirm a subscription, or to say that it is there
_SILENCE_S = 10.0  # after so long without a word it is asked


class Subscription:
    """The events of some clusters. After StoreUnavailable it is closed for good: make a new one, then `sync`."""

    def __init__(self, pubsub: PubSub, prefix: str) -> None:
        self._pubsub = pubsub
        self._prefix = prefix
        self._clusters: dict[str, str] = {}  # channel -> cluster
        self._waiting: deque[Event] = deque()
        self._closed = False
        self._heard = monotonic()
        self._asked = 0.0  # when, if there was no answer yet

    def update(self, clusters: Sequence[str]) -> None:
        """Listen to these clusters and no others; returns when the server has confirmed. Raises StoreUnavailable."""
        wanted = {Keys(self._prefix, cluster).events: cluster for cluster in clusters}
        new, gone = wanted.keys() - self._clusters.keys(), self._clusters.keys() - wanted.keys()
        self._clusters = wanted
        with self._guarded():
            if new:
                self._pubsub.subscribe(*sorted(new))
            if gone:
                self._pubsub.unsubscribe(*sorted(gone))  # type: ignore[no-untyped-call]
            self._confirmed(len(new) + len(gone))

    def _confirmed(self, count: int) -> None:
        deadline = monotonic() + _CONFIRM_S
        while count:
            left = deadline - monotonic()
            message = self._pubsub.get_message(timeout=left) if left > 0 else None
            if message is None and left <= 0:
                raise StoreUnavailable(f"redis: a subscription was not confirmed within {_CONFIRM_S:g} s")
            if message is None:
                continue
            if message["type"] in ("subscribe", "unsubscribe"):
                count -= 1
            else:
                self._keep(message)

    def _keep(self, message: dict[str, Any]) -> None:
        cluster = self._clusters.get(message["channel"])
        if cluster is None or message["type"] != "message":
            return
        event = parse(cluster, message["data"])
        if event is not None:
            self._waiting.append(event)

    def next(self, timeout: float) -> Event | None:
        """The next event; None when there was none within `timeout` seconds (or a message that is no event).

        Raises StoreUnavailable when the connection is lost, which includes one on which nothing comes any more.
        """
        if not self._waiting:
            with self._guarded():
                message = self._pubsub.get_message(timeout=timeout)
                self._listen(message is not None)
                if message is not None:
                    self._keep(message)
        return self._waiting.popleft() if self._waiting else None

    def _listen(self, heard: bool) -> None:
        """A network may swallow a connection without ending it; silence would be taken for peace."""
        now = monotonic()
        if heard or not self._clusters:  # of no cluster nothing can come, no answer either
            self._heard, self._asked = now, 0.0
        elif self._asked and now - self._asked > _CONFIRM_S:
            raise StoreUnavailable(f"redis: nothing comes on the subscription; no answer within {_CONFIRM_S:g} s")
        elif not self._asked and now - self._heard > _SILENCE_S:
            self._pubsub.ping()
            self._asked = now

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Close on any failure: redis-py would reconnect silently, and messages would be lost unnoticed."""
        if self._closed:
            raise StoreUnavailable("redis: the subscription is closed")
        try:
            with unavailable():
                yield
        except StoreUnavailable:
            self.close()
            raise

    def close(self) -> None:
        """Give the connection back. Idempotent."""
        if not self._closed:
            self._closed = True
            self._pubsub.close()
