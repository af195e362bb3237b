"""Keys of issuers: when they are fetched, how long they are kept, and what is fetched. J15 of the reference."""

import json
import logging
import socket
from collections.abc import Iterator

import pytest

from proxy.controller.fetching import Unfetched, fetch
from proxy.controller.keys import KeySets
from proxy.mesh.traffic.tokens import KeySource
from tests.issuer_rig import Issuer, KeyServer

ISSUES = Issuer()
INLINE = KeySource(jwks=ISSUES.jwks)
THERE = KeySource(uri="http://a/jwks")
HOUR, WEEK = 3600.0, 7 * 24 * 3600.0


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Bench:
    def __init__(self) -> None:
        self.clock = Clock()
        self.sets = KeySets(self.clock, lambda: 0.0)
        self.sets.want({INLINE: 5000, THERE: 5000})

    def fails(self) -> float:
        """Now, and in how many seconds it is fetched again."""
        assert [source for source, _ in self.sets.due()] == [THERE]
        self.sets.failed(THERE, "refused")
        wait = self.sets.wait_s()
        assert wait is not None
        return wait

    def fetched(self, text: str) -> bool:
        self.sets.due()
        return self.sets.fetched(THERE, text)


def test_j15_what_is_in_a_policy_is_there_at_once_and_all_else_is_fetched() -> None:
    bench = Bench()
    assert bench.sets.forms == {INLINE.name: ISSUES.jwks, THERE.name: ""}
    assert bench.sets.unheard
    assert bench.sets.due() == [(THERE, 5.0)]
    assert bench.sets.due() == [], "it is being fetched"
    assert bench.sets.fetched(THERE, "set")
    assert bench.sets.forms[THERE.name] == "set"
    assert bench.sets.wait_s() == 20 * 60
    bench.clock.now += 20 * 60
    assert not bench.fetched("set"), "the same is no news"
    assert not bench.sets.unheard


def test_j15_failures_wait_longer_and_what_was_known_stays_for_a_week(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    bench.fetched("set")
    waits = []
    with caplog.at_level(logging.INFO):
        for _ in range(8):
            wait = bench.sets.wait_s()
            assert wait is not None
            bench.clock.now += wait
            waits.append(bench.fails())
    assert waits == [60, 120, 240, 480, 960, 1920, HOUR, HOUR]
    assert caplog.messages == [f"{THERE.name}: keys cannot be fetched: refused; going on with those of before"]
    assert bench.sets.forms[THERE.name] == "set"
    bench.clock.now = 1000 + WEEK
    bench.fails()
    assert bench.sets.forms[THERE.name] == ""
    assert bench.fetched("set"), "it is news again"
    assert f"{THERE.name}: keys dropped, they could not be fetched for a week" in caplog.text


def test_while_nothing_is_known_it_is_fetched_soon_again() -> None:
    bench = Bench()
    waits = []
    for _ in range(8):
        waits.append(bench.fails())
        bench.clock.now += waits[-1]
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    assert bench.sets.shown()[THERE.name] == {"known": False, "error": "refused", "failures": 8, "fetched_again_s": 0.0}


def test_a_new_controller_goes_on_with_what_the_former_knew() -> None:
    sets = KeySets(Clock())
    sets.remember({THERE.name: "set", "http://gone": "x"})
    sets.want({THERE: 5000})
    assert sets.forms == {THERE.name: "set"}
    assert sets.due() == [(THERE, 5.0)], "and fetches it all the same"


def test_what_is_not_wanted_any_more_is_forgotten_and_told_to_hurry_all_are_due() -> None:
    bench = Bench()
    bench.fetched("set")
    bench.sets.hurry()
    assert bench.sets.due() == [(THERE, 5.0)]
    bench.sets.want({INLINE: 5000})
    assert bench.sets.forms == {INLINE.name: ISSUES.jwks}
    assert not bench.sets.fetched(THERE, "x")
    assert not bench.sets.failed(THERE, "x")
    assert bench.sets.wait_s() is None


def test_unknown_keys_have_all_fetched_and_not_more_often_than_every_30_seconds() -> None:
    bench = Bench()
    assert not bench.sets.missed(0)
    assert bench.sets.missed(3)
    assert not bench.sets.missed(3)
    bench.clock.now += 29
    assert not bench.sets.missed(9)
    bench.clock.now += 1
    assert bench.sets.missed(9), "what was missed meanwhile is not forgotten"
    bench.clock.now += 30
    assert not bench.sets.missed(1), "of a worker that is new"
    assert bench.sets.missed(2)


@pytest.fixture(scope="module")
def server() -> Iterator[KeyServer]:
    with KeyServer().serving() as running:
        yield running


def test_j15_keys_are_fetched_where_they_are_or_where_the_issuer_says(server: KeyServer) -> None:
    discovery = "/realm/.well-known/openid-configuration"
    server.pages = {"/jwks": ISSUES.jwks, discovery: json.dumps({"jwks_uri": f"{server.url}/jwks"})}
    server.pages["/moved"] = f"{server.url}/jwks"
    for source in (KeySource(uri=f"{server.url}/jwks"), KeySource(uri=f"{server.url}/moved")):
        assert fetch(source, 5) == ISSUES.jwks
    assert fetch(KeySource(issuer=f"{server.url}/realm/"), 5) == ISSUES.jwks


@pytest.mark.parametrize(
    ("path", "page", "said"),
    [
        ("/none", None, "/none answered 404"),
        ("/html", "<html>", "it is no JSON Web Key Set"),
        ("/large", "x" * 300_000, "more than 256 KiB"),
        ("/empty", '{"keys": []}', "has no key that can be used"),
    ],
)
def test_what_is_no_set_is_not_taken(server: KeyServer, path: str, page: str | None, said: str) -> None:
    server.pages = {path: page} if page else {}
    with pytest.raises(Unfetched) as fault:
        fetch(KeySource(uri=f"{server.url}{path}"), 5)
    assert said in str(fault.value)


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("<html>", "is no JSON"),
        ("{}", "has no jwks_uri"),
        ('{"jwks_uri": "file:///etc/passwd"}', "is no http:// or https:// URL"),
    ],
)
def test_an_issuer_that_says_nothing_of_its_keys(server: KeyServer, page: str, said: str) -> None:
    server.pages = {"/.well-known/openid-configuration": page}
    with pytest.raises(Unfetched) as fault:
        fetch(KeySource(issuer=server.url), 5)
    assert said in str(fault.value)


def test_no_redirect_leads_to_a_file(server: KeyServer) -> None:
    server.pages = {"/jwks": "http+file:///etc/passwd"}
    with pytest.raises(Unfetched):
        fetch(KeySource(uri=f"{server.url}/jwks"), 5)


def test_j15_whoever_says_nothing_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        source = KeySource(uri=f"http://127.0.0.1:{silent.getsockname()[1]}/jwks")
        with pytest.raises(Unfetched, match=r"timed out|no answer"):
            fetch(source, 0.2)


def test_nobody_there() -> None:
    with pytest.raises(Unfetched, match="refused"):
        fetch(KeySource(uri="http://127.0.0.1:1/jwks"), 5)
    with pytest.raises(Unfetched, match=r"https://127\.0\.0\.1:1"):
        fetch(KeySource(issuer="https://127.0.0.1:1"), 5)
