"""What there is to do: once, in order, and with waits after failures."""

from __future__ import annotations

from proxy.kubernetes.deployer.queue import Key, Queue

A, B = Key("shop", "a"), Key("shop", "b")


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_key_that_is_asked_for_often_is_taken_once() -> None:
    queue = Queue(Clock())
    for key in (A, B, A, A):
        queue.add(key)
    assert [queue.take(0), queue.take(0), queue.take(0)] == [A, B, None]


def test_what_failed_waits_longer_each_time_unless_it_is_asked_for() -> None:
    clock = Clock()
    queue = Queue(clock)
    waits = []
    for _ in range(4):
        queue.failed(A)
        began = clock.now
        while queue.take(0) is None:
            clock.now += 0.01
        waits.append(clock.now - began)
    assert waits == sorted(waits) and waits[3] > 4 * waits[0] * 0.9
    queue.failed(A)
    queue.add(A)
    assert [queue.take(0), queue.take(0)] == [A, None]
    queue.well(A)
    queue.failed(A)
    clock.now += 0.11
    assert queue.take(0) == A
