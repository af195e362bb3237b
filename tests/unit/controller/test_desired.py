"""What a controller wants, out of what it knows: no process, no socket, no clock."""

import logging
from dataclasses import replace

import pytest

from proxy.controller.desired import Bound, Certified, Desired, Line, Reading, Site, desired
from proxy.mesh.model import Listener, Snapshot
from tests.unit.controller.controller_rig import TLS, A, B, of

SITE = Site("127.0.0.1", None)
MESH = replace(SITE, certified_by="--tls-dir")
HTTP = Listener("http", 80, "HTTP", {"ns/a": {"a": ("a",)}})
HBONE = Listener("mesh", 15008, "HBONE", {"ns/a": {"a": ("a:80",)}})
WEB, TUNNELS = "127.0.0.1:80", "127.0.0.1:15008"
MODEL = Snapshot("ns/wp", (HTTP,), of(A, B))
BOTH = replace(MODEL, listeners=(HTTP, HBONE))
GOOD = Reading(number=1, spoken=1, valid=True, model=MODEL)
NOTHING = Bound(frozenset(), frozenset(), frozenset())
CERTIFIED = Certified(TLS)


def bound(*opened: str, asked: tuple[str, ...] = (), refused: tuple[str, ...] = ()) -> Bound:
    return Bound(frozenset(opened), frozenset(asked), frozenset(refused))


def want(
    reading: Reading = GOOD, bound: Bound = NOTHING, certified: Certified | None = None, site: Site = SITE
) -> Desired:
    return desired(site, reading, certified or Certified(), bound)


def published(found: Desired) -> set[str] | None:
    return None if found.publish is None else set(found.publish.listeners)


def texts(found: Desired) -> list[str]:
    return [line.text for line in found.lines]


def test_before_anything_was_read_nothing_is_wanted() -> None:
    found = want(Reading(), bound(WEB))
    assert found == Desired("", None, None, (), ()), "what a former controller had opened stays as it is"


def test_sockets_first_then_the_snapshot() -> None:
    found = want()
    assert (found.sockets, found.publish) == ({WEB}, None)
    assert want(bound=bound(asked=(WEB,))).publish is None
    opened = want(bound=bound(WEB)).publish
    assert opened is not None
    assert (dict(opened.listeners), opened.clusters, opened.tls) == ({WEB: HTTP}, MODEL.clusters, None)


def test_a_socket_that_is_refused_keeps_nobody_from_the_others() -> None:
    two = replace(GOOD, model=replace(MODEL, listeners=(HTTP, replace(HTTP, port=81))))
    assert published(want(two, bound(WEB))) is None
    assert published(want(two, bound(WEB, refused=("127.0.0.1:81",)))) == {WEB}
    assert published(want(two, bound(WEB, asked=("127.0.0.1:81",), refused=("127.0.0.1:81",)))) is None, "asked again"
    assert published(want(two, bound(WEB, "127.0.0.1:81"))) == {WEB, "127.0.0.1:81"}


def test_what_is_open_and_not_wanted_is_not_published() -> None:
    assert published(want(bound=bound(WEB, TUNNELS))) == {WEB}


@pytest.mark.parametrize("bind", ["0.0.0.0", "::"])
def test_listeners_are_where_the_settings_say(bind: str) -> None:
    expected = {"0.0.0.0": "0.0.0.0:80", "::": "[::]:80"}[bind]
    assert want(site=replace(SITE, bind=bind)).sockets == {expected}


def test_without_a_gateway_nothing_is_served_and_that_is_in_force() -> None:
    found = want(Reading(number=1, spoken=1, valid=True, reason="no Gateway"), bound(WEB))
    assert found.sockets == set()
    assert (published(found), found.publish and found.publish.clusters) == (set(), {})
    assert found.lines == (Line(logging.WARNING, "not ready: no Gateway", 1),)


def test_hbone_is_served_with_certificates_and_said_to_be_missing_without() -> None:
    reading = replace(GOOD, model=BOTH)
    found = want(reading, bound(WEB), Certified(None, ("/tls/key.pem: is missing",)), MESH)
    assert found.sockets == published(found) == {WEB}
    (fault,) = found.faults
    assert "/tls/key.pem: is missing" in fault
    assert Line(logging.ERROR, fault) in found.lines
    found = want(reading, bound(WEB), CERTIFIED, MESH)
    assert (found.sockets, found.publish, found.faults) == ({WEB, TUNNELS}, None, ())
    found = want(reading, bound(WEB, TUNNELS), CERTIFIED, MESH)
    assert found.publish is not None
    assert (set(found.publish.listeners), found.publish.tls) == ({WEB, TUNNELS}, TLS)


def test_problems_with_newer_certificates_take_nothing_out_of_service() -> None:
    found = want(replace(GOOD, model=BOTH), bound(WEB, TUNNELS), Certified(TLS, ("/tls: expired",)), MESH)
    assert (published(found), found.faults) == ({WEB, TUNNELS}, ())


def test_faults_leave_the_last_good_configuration_in_force() -> None:
    broken = replace(GOOD, number=2, spoken=2, in_force=7, faults=("a.yaml:3: wrong",), warnings=("odd",))
    found = want(broken, bound(WEB))
    assert (found.sockets, published(found)) == ({WEB}, {WEB})
    assert found.lines == (
        Line(logging.WARNING, "odd", 2),
        Line(logging.ERROR, "a.yaml:3: wrong", 2),
        Line(logging.ERROR, "keeping snapshot 7 until that is mended", 2),
    )
    assert want(broken, bound(), CERTIFIED, MESH).sockets == {WEB}, "a renewal goes on meanwhile"


def test_N19_that_it_is_mended_is_said_whether_anything_has_changed_or_not() -> None:
    mended = replace(GOOD, number=3, in_force=7, mended=True)
    assert want(mended).lines == (Line(logging.INFO, "the manifests are right again, and in force", 3),)


def test_the_arbiter_hears_of_the_first_reading() -> None:
    first = replace(GOOD, starting=True)
    assert want(first).answer == "loaded"
    assert want(Reading(number=1, starting=True, faults=("wrong",))).answer == "refused"
    assert want(replace(first, number=2, starting=False)).answer == ""


def test_a_reading_says_again_what_the_one_before_said_and_nothing_else_does() -> None:
    reading = replace(GOOD, warnings=("odd",))
    again = replace(reading, number=2, spoken=2)
    assert set(want(reading).lines).isdisjoint(want(again).lines)
    assert want(replace(reading, number=2)).lines == want(reading).lines, "a change in a cluster says nothing again"
    assert want(reading).lines == want(reading, bound(WEB), CERTIFIED).lines


def test_captured_endpoints_in_clear_text_are_warned_of() -> None:
    captured = replace(A, endpoints=tuple(replace(each, hbone=True) for each in A.endpoints))
    reading = replace(GOOD, model=replace(MODEL, clusters=of(captured, replace(captured, name="c"))))
    assert texts(want(reading)) == [
        "2 captured endpoints are reached in clear text, not over HBONE: that needs --tls-dir or --ca"
    ]
    assert texts(want(reading, site=MESH)) == []


def test_waiting_for_the_first_certificate_is_no_error() -> None:
    reading = replace(GOOD, model=BOTH)
    waiting = Certified(None, ("istiod://a:1: its answer is still to come",), waiting=True)
    found = want(reading, certified=waiting, site=replace(SITE, certified_by="--ca"))
    (line,) = found.lines
    assert (line.level, found.faults) == (logging.INFO, (line.text,))
    assert line.text == f'listener "mesh" port 15008: HBONE needs certificates: {waiting.problems[0]}'
    failed = want(reading, certified=replace(waiting, waiting=False), site=replace(SITE, certified_by="--ca"))
    assert failed.lines[0].level == logging.ERROR
