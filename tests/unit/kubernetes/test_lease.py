"""Who leads: one at a time, however clocks and answers come."""

from __future__ import annotations

import copy
from typing import Any

from proxy.kubernetes.api.access import Access
from proxy.kubernetes.api.client import JSON, Client
from proxy.kubernetes.api.faults import ApiFault
from proxy.kubernetes.api.lease import DURATION_S, EVERY_S, RENEWED_S, Lease

Object = dict[str, Any]


class Store(Client):
    """One Lease, with versions, as the API server keeps it."""

    def __init__(self) -> None:
        super().__init__(Access("nowhere", 1))
        self.lease: Object | None = None
        self.away = False

    def send(
        self,
        method: str,
        path: str,
        body: Object | None = None,
        query: object = None,
        content_type: str = JSON,
        accept: str = JSON,
    ) -> Object:
        if self.away:
            raise ApiFault("no answer in time")
        if method == "GET" and self.lease is None:
            raise ApiFault("404", 404)
        if method == "POST" and self.lease is not None:
            raise ApiFault("409", 409)
        if method == "PUT" and (body or {})["metadata"]["resourceVersion"] != self.version:
            raise ApiFault("409", 409)
        if method != "GET":
            version = str(int(self.version) + 1)
            self.lease = copy.deepcopy(body or {})
            self.lease["metadata"]["resourceVersion"] = version
        return copy.deepcopy(self.lease or {})

    @property
    def version(self) -> str:
        return str(self.lease["metadata"]["resourceVersion"]) if self.lease else "0"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def two(store: Store) -> tuple[Lease, Lease, Clock]:
    clock = Clock()
    return Lease(store, "system", "name", "a", clock), Lease(store, "system", "name", "b", clock), clock


def test_the_first_leads_and_the_second_looks_on() -> None:
    a, b, clock = two(Store())
    assert a.turn() == EVERY_S and a.held
    for _ in range(10):
        b.turn()
        assert not b.held and b.holder == "a"
        clock.now += EVERY_S
        a.turn()
        assert a.held


def test_one_that_renews_no_more_is_followed_after_its_time_and_no_longer_believes_to_lead() -> None:
    store = Store()
    a, b, clock = two(store)
    a.turn()
    clock.now += 3
    b.turn()  # sees it for the first time: it may have been renewed just now
    clock.now += DURATION_S
    b.turn()
    assert not b.held and not a.held
    clock.now += 0.1
    b.turn()
    assert b.held
    assert store.lease and store.lease["spec"]["leaseTransitions"] == 1
    a.turn()
    assert not a.held and a.holder == "b"


def test_the_lead_ends_by_itself_where_the_server_is_away() -> None:
    store = Store()
    a, _, clock = two(store)
    a.turn()
    store.away = True
    clock.now += RENEWED_S - 0.1
    a.turn()
    assert a.held
    clock.now += 0.1
    assert not a.held
    store.away = False
    a.turn()
    assert a.held  # nobody took it meanwhile


def test_of_two_that_want_it_at_once_one_gets_it() -> None:
    class Late(Store):
        """Somebody else writes between reading and writing."""

        raced = False

        def send(self, method: str, path: str, *rest: Any, **more: Any) -> Object:
            if method == "PUT" and not self.raced and self.lease:
                self.raced = True
                self.lease["metadata"]["resourceVersion"] = "99"
            return super().send(method, path, *rest, **more)

    store = Late()
    a, b, clock = two(store)
    a.turn()
    b.turn()
    clock.now += DURATION_S + 1
    b.turn()
    assert not b.held


def test_one_that_goes_gives_it_back() -> None:
    store = Store()
    a, b, _ = two(store)
    a.turn()
    b.turn()
    a.release()
    assert not a.held
    b.turn()
    assert b.held
    a.release()  # is no longer ours to give
    assert store.lease and store.lease["spec"]["holderIdentity"] == "b"
