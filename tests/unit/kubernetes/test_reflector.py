"""A watch that is never lost: whatever the server does, the sink ends up with what the server has, told once."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from proxy.kubernetes.api import reflector as module
from proxy.kubernetes.api.access import Access
from proxy.kubernetes.api.client import Client, Object
from proxy.kubernetes.api.faults import ApiFault
from proxy.kubernetes.api.pace import Pace
from proxy.kubernetes.api.reflector import Reflector
from proxy.kubernetes.api.resources import Resource, Watched
from tests.unit.kubernetes.api_rig import ApiServer, Handler, thing

SERVICES = Resource("", "v1", "services", "Service")
WATCHED = Watched(SERVICES, "shop")


class Memory:
    """A sink that keeps what it is told."""

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.told: list[tuple[str, str]] = []
        self.faults: list[ApiFault] = []
        self.lists = 0
        self.well_again = 0

    def put(self, watched: Watched, namespace: str, name: str, body: Object) -> None:
        self.told.append(("put", name))
        self.objects[name] = body

    def drop(self, watched: Watched, namespace: str, name: str) -> None:
        self.told.append(("drop", name))
        del self.objects[name]

    def listed(self, watched: Watched) -> None:
        self.lists += 1

    def troubled(self, watched: Watched, fault: ApiFault) -> None:
        self.faults.append(fault)

    def well(self, watched: Watched) -> None:
        self.well_again += 1


def wait_for(condition: Callable[[], object], what: str = "") -> None:
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until, what
        time.sleep(0.005)


@contextmanager
def following(api: ApiServer, watched: Watched = WATCHED) -> Iterator[Memory]:
    memory = Memory()
    reflector = Reflector(api.client, watched, memory, Pace(0.01, 0.05, random.Random(1)))
    thread = threading.Thread(target=reflector.run, daemon=True)
    thread.start()
    try:
        yield memory
    finally:
        reflector.stop()
        thread.join(10)
        assert not thread.is_alive()


def once(answer: Callable[[Handler], bool]) -> Callable[[Handler], bool]:
    """Only the first request that it wants to answer gets that answer."""
    left = [1]

    def wrong(handler: Handler) -> bool:
        return bool(left) and answer(handler) and bool(left.pop())

    return wrong


def test_a_streaming_list_and_what_comes_after_it(api: ApiServer) -> None:
    api.put("services", thing("a", port=1))
    with following(api) as memory:
        wait_for(lambda: memory.lists)
        assert memory.told == [("put", "a")]
        assert memory.objects["a"]["kind"] == "Service" and memory.objects["a"]["apiVersion"] == "v1"
        api.put("services", thing("a", port=2))
        api.put("services", thing("b"))
        api.delete("services", "a")
        wait_for(lambda: memory.told == [("put", "a"), ("put", "a"), ("put", "b"), ("drop", "a")])
    assert len(api.requests) == 1 and memory.faults == []


def test_pages_where_there_are_no_streaming_lists(api: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """etcd before 3.4.25, Kubernetes before 1.32; asked once, and remembered."""
    monkeypatch.setattr(module, "PAGE", 2)
    text = "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled"
    api.wrong = lambda handler: "sendInitialEvents" in handler.path and handler.refuse(422, text)
    for name in "abcde":
        api.put("services", thing(name))
    with following(api) as memory:
        wait_for(lambda: memory.lists)
        assert sorted(memory.objects) == list("abcde")
        api.put("services", thing("f"))
        wait_for(lambda: "f" in memory.objects)
        api.compact()
        api.cut()
        wait_for(lambda: memory.lists == 2)
    assert sum("sendInitialEvents" in each for each in api.requests) == 1
    assert sum("continue=" in each for each in api.requests) == 4 and memory.faults == []


def test_a_watch_that_ends_goes_on_where_it_was(api: ApiServer) -> None:
    api.put("services", thing("a"))
    with following(api) as memory:
        wait_for(lambda: memory.lists)
        api.cut()
        api.put("services", thing("b"))
        wait_for(lambda: "b" in memory.objects)
        assert memory.told == [("put", "a"), ("put", "b")] and memory.lists == 1
    assert "resourceVersion=101" in api.requests[1]


def test_a_bookmark_moves_where_it_goes_on(api: ApiServer) -> None:
    with following(api) as memory:
        wait_for(lambda: memory.lists)
        api.bookmark("services")
        before = len(api.requests)
        time.sleep(0.05)
        api.cut()
        wait_for(lambda: len(api.requests) > before)
    assert f"resourceVersion={api.version}" in api.requests[before]


@pytest.mark.parametrize("within_the_stream", [False, True])
def test_history_that_is_gone_is_listed_anew(api: ApiServer, within_the_stream: bool) -> None:
    """410 in both forms. What is the same is not told again; what went meanwhile is dropped."""

    def gone(handler: Handler) -> bool:
        if "resourceVersion=" not in handler.path or not within_the_stream:
            return False
        handler.begin_stream()
        handler.send_event("ERROR", {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"})
        handler.wfile.write(b"0\r\n\r\n")
        return True

    for name in "abc":
        api.put("services", thing(name))
    with following(api) as memory:
        wait_for(lambda: memory.lists)
        api.wrong = once(gone)
        if not within_the_stream:
            api.compact()
        with api._changed:  # nothing is delivered until all of it has happened
            api.cut()
            api.objects["services"].pop(("shop", "b"))
            api.put("services", thing("c", port=2))
            api.compact()
        wait_for(lambda: memory.lists == 2)
        assert memory.told[3:] in ([("put", "c"), ("drop", "b")], [("drop", "b"), ("put", "c")])
        assert memory.faults == []


def test_a_list_that_breaks_off_drops_nothing(api: ApiServer) -> None:
    def half(handler: Handler) -> bool:
        handler.begin_stream()
        handler.send_event("ADDED", api.objects["services"]["shop", "a"])
        handler.close_connection = True
        return True

    for name in "ab":
        api.put("services", thing(name))
    with following(api) as memory:
        wait_for(lambda: memory.lists)
        api.wrong = once(half)
        api.compact()
        api.cut()
        wait_for(lambda: memory.lists == 2)
        assert memory.told == [("put", "a"), ("put", "b")]


@pytest.mark.parametrize("code", [401, 403, 429, 500, 503])
def test_refusals_are_told_and_keep_what_is_known(api: ApiServer, code: int) -> None:
    api.put("services", thing("a"))
    with following(api) as memory:
        wait_for(lambda: memory.lists)
        api.wrong = lambda handler: handler.refuse(code, "not now")
        api.cut()
        wait_for(lambda: len(memory.faults) > 2)
        assert memory.objects and {fault.status for fault in memory.faults} == {code}
        opened = memory.well_again
        api.wrong = lambda handler: False
        wait_for(lambda: memory.well_again > opened)
        api.put("services", thing("b"))
        wait_for(lambda: "b" in memory.objects)


def test_a_resource_that_is_unknown_has_no_objects(api: ApiServer) -> None:
    """A CRD that is not installed; once it is, it is found."""
    api.wrong = lambda handler: handler.refuse(404, "the server could not find the requested resource")
    with following(api) as memory:
        wait_for(lambda: memory.lists)
        assert memory.objects == {} and memory.faults[0].not_found
        api.put("services", thing("a"))
        api.wrong = lambda handler: False
        wait_for(lambda: memory.objects)


def test_what_was_there_is_not_gone_for_a_404(api: ApiServer) -> None:
    """A load balancer before servers that are being replaced: nobody has deleted anything."""
    api.put("services", thing("a"))
    with following(api) as memory:
        wait_for(lambda: memory.lists)
        api.wrong = lambda handler: handler.refuse(404, "404 page not found")
        api.cut()
        wait_for(lambda: len(memory.faults) > 2)
        assert memory.objects and memory.faults[0].not_found
        api.delete("services", "a")
        api.wrong = lambda handler: False
        wait_for(lambda: not memory.objects)


def test_a_mistake_of_ours_costs_a_wait_and_not_the_watch(
    api: ApiServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "MISTAKE_S", 0.01)
    api.put("services", thing("a"))
    put, tried = Memory.put, [0]

    def put_or_not(self: Memory, watched: Watched, namespace: str, name: str, body: Object) -> None:
        tried[0] += 1
        if tried[0] == 1:
            raise LookupError("a mistake")
        put(self, watched, namespace, name, body)

    monkeypatch.setattr(Memory, "put", put_or_not)
    with following(api) as memory:
        wait_for(lambda: memory.objects, "it is told again")
    assert "please report it" in caplog.text


def test_data_from_a_backup_are_listed_anew(api: ApiServer) -> None:
    """etcd restored: its versions are smaller than what was seen, and no watch can go on from there."""
    text = "Timeout: Too large resource version: 9000, current: 100"
    api.put("services", thing("a"))
    with following(api) as memory:
        wait_for(lambda: memory.lists)
        api.wrong = once(lambda handler: "resourceVersion=" in handler.path and handler.refuse(504, text))
        api.cut()
        wait_for(lambda: memory.lists == 2)


def test_silence_is_found(api: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that vanished without a word would hang the watch for ever."""
    monkeypatch.setattr(module, "WATCH_S", (0, 0))
    monkeypatch.setattr(module, "GRACE_S", 0.2)
    api.put("services", thing("a"))
    with following(api) as memory:
        wait_for(lambda: memory.lists)
        wait_for(lambda: memory.faults)
        assert "no answer in time" in str(memory.faults[0])
        api.put("services", thing("b"))
        wait_for(lambda: "b" in memory.objects)


def test_an_event_that_is_none_is_a_fault_and_not_the_end(api: ApiServer) -> None:
    def nonsense(handler: Handler) -> bool:
        handler.begin_stream()
        handler.wfile.write(b"7\r\nhello!\n\r\n0\r\n\r\n")
        return True

    api.wrong = once(nonsense)
    api.put("services", thing("a"))
    with following(api) as memory:
        wait_for(lambda: memory.objects)
    assert "not JSON" in str(memory.faults[0])


def test_nobody_listens_and_then_somebody_does() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    memory = Memory()
    reflector = Reflector(Client(Access("127.0.0.1", port, secure=False)), WATCHED, memory, Pace(0.01, 0.02))
    assert reflector.turn() > 0
    assert memory.faults[0].status == 0 and "refused" in str(memory.faults[0])


def test_waits_grow_vary_and_keep_to_what_was_asked() -> None:
    pace = Pace(0.1, 5.0, random.Random(3))
    waits = [pace.next() for _ in range(12)]
    assert all(0.05 * 2**n <= wait <= 0.1 * 2**n for n, wait in enumerate(waits[:5]))
    assert all(2.5 <= wait <= 5.0 for wait in waits[7:]) and len(set(waits)) == len(waits)
    assert pace.next(4.99) >= 4.99 and pace.next(3600) <= 5.0
    pace.reset()
    assert pace.next() <= 0.1


def test_what_is_watched_says_which_rule_it_takes() -> None:
    watched = Watched(Resource("gateway.networking.k8s.io", "v1", "gateways", "Gateway"), "shop", fields="a=b")
    assert str(watched) == "gateways.gateway.networking.k8s.io in shop with a=b"
    rule = '{apiGroups: ["gateway.networking.k8s.io"], resources: [gateways], verbs: [get, list, watch]}'
    assert watched.rule == f"{rule} in a Role of namespace shop"


def test_one_that_is_stopped_while_it_asks_ends(api: ApiServer) -> None:
    """Then there is no watch yet that could be closed, and nothing may ever come on the one that there will be."""
    memory = Memory()
    reflector = Reflector(api.client, WATCHED, memory)
    reflector._streams = False  # no event comes at once
    api.put("services", thing("a"))

    def stop(handler: Handler) -> bool:
        if "watch=true" in handler.path:
            reflector.stop()
        return False

    api.wrong = stop
    thread = threading.Thread(target=reflector.run, daemon=True)
    thread.start()
    thread.join(5)
    assert not thread.is_alive()
