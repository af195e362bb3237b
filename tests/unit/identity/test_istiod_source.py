"""istiod as a source: what is in force while it answers, while it does not, and after it has changed its mind."""

import logging
import random
import time
from collections.abc import Callable
from pathlib import Path

import gevent
import pytest

from proxy.identity.certificates import Contents
from proxy.identity.istiod import source
from proxy.identity.istiod.ask import Mounted, NotSigned
from proxy.identity.istiod.authority import Authority as Where
from proxy.identity.istiod.renewal import SHORTEST_S, Renewal
from proxy.identity.istiod.source import LOOK_S, Istiod
from proxy.identity.watch import CertificateWatch
from tests.certificates import WAYPOINT, Authority, Leaf
from tests.istiod_rig import mount, token, where

CA = Authority()
LIFE = 3600.0


class Answers:
    """In the place of a request: a certificate that lasts so long, or why there is none."""

    def __init__(self) -> None:
        self.lasts = LIFE
        self.fault = ""
        self.given: list[Leaf] = []
        self.requests: list[Mounted] = []
        self.passed: Callable[[], float] = lambda: 0.0
        # Valid by the real clock too, which OpenSSL goes by.
        self.leaf: Callable[[], Leaf] = lambda: CA.leaf(starts=-120, lasts=self.passed() + self.lasts)

    def __call__(self, place: Where, found: Mounted, now: float) -> Contents:
        self.requests.append(found)
        if self.fault:
            raise NotSigned(self.fault)
        self.given.append(self.leaf())
        last = self.given[-1]
        return {"cert-chain.pem": last.chain, "key.pem": last.key, "root-cert.pem": last.roots}


class World:
    """Two clocks that go only when told to, and what is followed."""

    def __init__(self, directory: Path) -> None:
        mount(directory, CA.pem)
        self.place = where(15012, directory)
        self.answers = Answers()
        self.passed = 0.0
        self.answers.passed = lambda: self.passed
        self.began = time.time()
        self.source = Istiod(self.place, Renewal(random.Random(7)), self.wall, lambda: 1000 + self.passed, self.answers)
        self.watch = CertificateWatch(self.source, clock=self.wall)

    def wall(self) -> float:
        return self.began + self.passed

    def go(self, seconds: float) -> None:
        """So long, asking when it is time, and looking after each answer."""
        end = self.passed + seconds
        while True:
            wait = self.source.step()
            if not wait:
                self.watch.refresh()
            elif self.passed + wait > end:
                self.passed = end
                return
            self.passed += wait

    def told(self) -> list[tuple[int, str]]:
        return list(self.watch.news())


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_until_the_first_answer_nothing_is_wrong_and_it_says_so(world: World) -> None:
    assert world.watch.option == "--ca"
    assert world.watch.refresh() and world.watch.waiting
    assert world.watch.problems == ("istiod://127.0.0.1:15012: its answer to our first request is still to come",)
    world.go(0)
    assert not world.watch.waiting and world.watch.problems == ()
    assert world.watch.form() == world.answers.given[0].tls()
    assert world.told()[0][1].startswith(f"certificate of {WAYPOINT}, valid until ")


def test_it_is_asked_again_at_half_a_life(world: World) -> None:
    world.go(0.48 * LIFE)
    assert len(world.answers.requests) == 1
    world.go(0.04 * LIFE)
    assert len(world.answers.requests) == 2
    assert world.watch.form() == world.answers.given[1].tls()
    assert world.watch.counts() == {"requests": 2, "failures": 0}


def test_what_is_in_force_lasts_while_istiod_is_away(world: World) -> None:
    world.go(1)
    world.watch.refresh()
    world.answers.fault = "no connection to it: connection refused"
    world.go(0.6 * LIFE)
    assert world.watch.form() == world.answers.given[0].tls(), "longer than half a life"
    told = world.told()
    assert told[0] == (logging.ERROR, "istiod://127.0.0.1:15012: no connection to it: connection refused")
    assert told[1][1].startswith("keeping the certificate that is valid until")
    world.go(0.25 * LIFE)
    level, text = world.watch.reminder() or (0, "")
    assert level == logging.WARNING
    assert "has not renewed it: istiod://127.0.0.1:15012: no connection" in text
    asked = len(world.answers.requests)
    assert asked < 0.35 * LIFE / 30 + 10, "with patience"
    world.go(LIFE)
    assert world.watch.form() == world.answers.given[0].tls(), "whether it will still do is for peers to say"
    assert (world.watch.reminder() or (0, ""))[0] == logging.ERROR
    world.answers.fault = ""
    world.go(61)
    assert world.watch.problems == () and world.watch.form() == world.answers.given[-1].tls()


def test_a_mistake_of_ours_costs_a_wait_and_not_the_renewal(world: World, caplog: pytest.LogCaptureFixture) -> None:
    good = world.answers.leaf

    def mistaken() -> Leaf:
        raise LookupError("a mistake")

    world.answers.leaf = mistaken
    world.go(0)
    assert "LookupError: a mistake" in world.watch.problems[0]
    assert "please report it" in caplog.text
    world.answers.leaf = good
    world.go(2)
    assert not world.watch.problems and world.watch.form()


def test_the_same_failure_is_told_once(world: World) -> None:
    world.answers.fault = "it is away"
    news = 0
    for _ in range(120):
        world.go(1)
        news += world.watch.refresh()
    assert world.watch.counts()["failures"] > 4
    assert world.watch.problems == ("istiod://127.0.0.1:15012: it is away",)
    assert news == 0, "told by the first look, in `go`"


@pytest.mark.parametrize("lasts", [-60.0, 1.0, 15.0])
def test_a_leaf_near_or_past_its_end_makes_no_storm(world: World, lasts: float) -> None:
    world.answers.lasts = lasts
    world.go(120)
    assert len(world.answers.requests) <= 120 / SHORTEST_S + 5


def test_a_request_without_end_is_left(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "LONGEST_S", 0.05)
    world.source._ask = lambda *_: gevent.sleep(60) or {}
    world.go(0)
    assert world.watch.problems == ("istiod://127.0.0.1:15012: no answer within 0 s",)


def test_an_answer_that_is_no_certificate_of_ours_is_refused_and_told(world: World) -> None:
    other = CA.leaf()
    world.answers.leaf = lambda: Leaf(CA.leaf().chain, other.key, other.roots, other.certificate)
    world.go(1)
    assert world.watch.form() is None
    (problem,) = world.watch.problems
    assert problem == "istiod://127.0.0.1:15012/key.pem: is not the key of the certificate in cert-chain.pem"
    assert "PRIVATE" not in repr(world.watch.shown())


def test_new_roots_are_followed(world: World, tmp_path: Path) -> None:
    world.go(60)
    assert len(world.answers.requests) == 1
    new = Authority(name="next")
    mount(tmp_path, CA.pem + new.pem)
    world.go(LOOK_S + 6)
    assert len(world.answers.requests) == 2
    assert world.answers.requests[1].roots == CA.pem + new.pem
    world.go(60)
    assert len(world.answers.requests) == 2


def test_a_token_that_is_renewed_is_no_reason_to_ask_but_one_that_is_mended_is(world: World, tmp_path: Path) -> None:
    world.go(60)
    mount(tmp_path, CA.pem, token(subject="system:serviceaccount:a:b"))
    world.go(60)
    assert len(world.answers.requests) == 1
    world.answers.fault = "it refuses our token"
    world.go(LIFE / 2)
    asked = len(world.answers.requests)
    world.answers.fault = ""
    mount(tmp_path, CA.pem)
    world.go(LOOK_S + 2)
    assert len(world.answers.requests) == asked + 1 and world.watch.problems == ()


def test_a_new_controller_does_not_ask_before_it_is_time(world: World) -> None:
    kept = CA.leaf(starts=-0.25 * LIFE, lasts=0.75 * LIFE)
    world.watch.adopt(kept.tls())
    assert not world.watch.refresh() and not world.watch.waiting
    world.go(0.2 * LIFE)
    assert (world.watch.form(), world.answers.requests) == (kept.tls(), [])
    world.go(0.1 * LIFE)
    assert world.watch.form() == world.answers.given[0].tls()


def test_one_that_looked_first_is_waiting_no_more(world: World) -> None:
    world.watch.refresh()
    world.watch.adopt(CA.leaf().tls())
    assert (world.watch.problems, world.watch.waiting) == ((), False)


def test_what_is_shown(world: World) -> None:
    world.answers.fault = "no"
    world.go(0)
    world.answers.fault = ""
    world.go(3)
    shown = world.watch.shown()
    assert (shown["ca"], shown["requests"], shown["failures"]) == ("istiod://127.0.0.1:15012", 2, 1)
    assert shown["next_request"].endswith("Z") and shown["next_request"] < shown["expiration_time"]
    assert world.answers.given[0].key.decode().splitlines()[1] not in repr(shown)
