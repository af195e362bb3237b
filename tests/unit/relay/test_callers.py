"""Clients that bring no baggage are known by their addresses, which are endpoints' for as long as these are there."""

import pytest

from proxy.scoreboard.scoreboard import Scoreboard
from tests.instruments.counting import Counter


@pytest.fixture
def counter() -> Counter:
    made = Counter(Scoreboard.create(), 0)
    made.find_by_address()
    assert made.asks_from(b"10.0.0.1:1") is None  # from now on they are kept
    return made


def test_k11_a_connection_is_whoever_has_its_address_now(counter: Counter) -> None:
    peer = b"10.0.0.7:51234"
    assert counter.asks_from(peer) is None
    counter.meet(b"10.0.0.7:8080", "web")
    assert counter.asks_from(peer) == b"web"
    assert counter.asks_from(b"10.0.0.8:51234") is None
    counter.part(b"10.0.0.7:8080")
    assert counter.asks_from(peer) is None
    counter.meet(b"10.0.0.7:9090", "other")
    assert counter.asks_from(peer) == b"other"


def test_of_several_endpoints_at_an_address_the_last_takes_the_name_with_it(counter: Counter) -> None:
    counter.meet(b"10.0.0.7:8080", "web")
    counter.meet(b"10.0.0.7:9090", "web")
    counter.part(b"10.0.0.7:8080")
    assert counter.asks_from(b"10.0.0.7:1") == b"web"


def test_many_connections_are_not_all_kept(counter: Counter) -> None:
    counter.meet(b"10.0.0.7:8080", "web")
    assert {counter.asks_from(b"10.0.0.7:%d" % port) for port in range(1, 9000)} == {b"web"}
