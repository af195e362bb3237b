"""Events: told once however many tell, counted, kept from flooding, and never in anybody's way."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from proxy.kubernetes.api import events
from proxy.kubernetes.api.events import BURST, REFILL_S, Notice, Recorder, SpamFilter, Subject, event_of, name_of
from proxy.kubernetes.api.pace import Pace
from proxy.kubernetes.source import kinds
from tests.unit.kubernetes.api_rig import ApiServer, Object, thing
from tests.unit.kubernetes.test_source import wait_for

POD = Subject(kinds.PODS, "shop", "pay-1")
NOTICE = Notice(POD, "EndpointEjected", "It gets no traffic: 5 consecutive failures", "3 fleet ab")
AT = 1_764_000_000.0


@pytest.fixture
def shop(api: ApiServer) -> ApiServer:
    pod = thing("pay-1")
    pod["metadata"]["uid"] = "uid-1"
    api.put("pods", pod)
    return api


def recorder(api: ApiServer, name: str = "way-a", now: float = AT) -> Recorder:
    return Recorder(api.client, name, lambda: now, Pace(0.01, 0.02))


def told(api: ApiServer) -> list[Object]:
    return list(api.objects.get("events", {}).values())


def test_an_event_is_about_the_object_that_is_there(shop: ApiServer) -> None:
    """`kubectl describe` looks for events by the object's uid."""
    recorder(shop).write(NOTICE, AT)
    (event,) = told(shop)
    reference = {"apiVersion": "v1", "kind": "Pod", "namespace": "shop", "name": "pay-1", "uid": "uid-1"}
    assert event["involvedObject"].items() >= reference.items()
    assert (event["type"], event["reason"], event["count"]) == ("Warning", "EndpointEjected", 1)
    assert event["message"] == NOTICE.message and event["lastTimestamp"] == "2025-11-24T16:00:00Z"
    assert event["source"] == {"component": "waypointd", "host": "way-a"}
    assert event["metadata"]["namespace"] == "shop"


def test_two_replicas_tell_once(shop: ApiServer) -> None:
    one, other = recorder(shop), recorder(shop, "way-b")
    for each in (one, other, other):
        each.write(NOTICE, AT)
    (event,) = told(shop)
    assert event["source"]["host"] == "way-a" and event["count"] == 1
    other.write(replace(NOTICE, occurrence="4 fleet ab"), AT)
    one.write(replace(NOTICE, reason="EndpointReturned"), AT)
    assert len(told(shop)) == 3 and other.left_out == one.left_out == 0


def test_the_same_told_again_is_counted_by_who_made_it(shop: ApiServer) -> None:
    one = recorder(shop)
    for number in range(3):
        one.write(replace(NOTICE, message=f"number {number}"), AT + 60 * number)
    (event,) = told(shop)
    assert event["count"] == 3 and event["message"] == "number 2"
    assert event["firstTimestamp"] == "2025-11-24T16:00:00Z" and event["lastTimestamp"] == "2025-11-24T16:02:00Z"


def test_what_the_server_has_forgotten_is_told_anew(shop: ApiServer) -> None:
    one = recorder(shop)
    one.write(NOTICE, AT)
    shop.delete("events", told(shop)[0]["metadata"]["name"])
    one.write(NOTICE, AT + 3700)
    (event,) = told(shop)
    assert event["count"] == 1 and event["firstTimestamp"] == "2025-11-24T17:01:40Z"


def test_of_an_object_that_is_gone_nothing_is_told(shop: ApiServer) -> None:
    """Nor of an endpoint that is none of the cluster's."""
    one = recorder(shop)
    one.write(replace(NOTICE, subject=replace(POD, name="other")), AT)
    assert told(shop) == [] and one.left_out == 0


def test_another_object_of_the_name_has_events_of_its_own() -> None:
    assert name_of(NOTICE, "uid-1") == name_of(NOTICE, "uid-1") != name_of(NOTICE, "uid-2")
    assert name_of(NOTICE, "uid-1").startswith("pay-1.")
    long = replace(NOTICE, subject=replace(POD, name=f"{'a' * 199}.{'b' * 50}"))
    assert len(name_of(long, "")) < 253 and ".." not in name_of(long, "")
    event = event_of(replace(NOTICE, message="m" * 2000), "n", {}, "way-a", AT)
    assert len(event["message"]) == 1024  # what the API server takes


def test_without_the_right_it_is_said_once_with_the_rule(shop: ApiServer, caplog: pytest.LogCaptureFixture) -> None:
    shop.wrong = lambda handler: (
        handler.command != "GET" and handler.refuse(403, 'events is forbidden: User "w" cannot create resource')
    )
    one = recorder(shop)
    with caplog.at_level(logging.INFO):
        one.write(NOTICE, AT)
        one.write(replace(NOTICE, occurrence="4"), AT)
        assert [record.getMessage() for record in caplog.records] == [
            'no event can be written about Pod shop/pay-1: 403 events is forbidden: User "w" cannot create resource; '
            'it takes the rule {apiGroups: [""], resources: [events], verbs: [create, patch]} in a Role of namespace '
            "shop; going on without"
        ]
        assert one.left_out == 2
        shop.wrong = lambda handler: False
        one.write(replace(NOTICE, occurrence="5"), AT)
    assert len(told(shop)) == 1 and caplog.records[-1].getMessage() == "events are written again"


def test_without_the_right_to_read_the_object_it_is_named(shop: ApiServer) -> None:
    shop.wrong = lambda handler: handler.command == "GET" and handler.refuse(403, "no")
    recorder(shop).write(NOTICE, AT)
    assert "uid" not in told(shop)[0]["involvedObject"] and told(shop)[0]["involvedObject"]["name"] == "pay-1"


def test_a_namespace_that_ends_is_no_fault(shop: ApiServer, caplog: pytest.LogCaptureFixture) -> None:
    text = "forbidden: unable to create new content in namespace shop because it is being terminated"
    shop.wrong = lambda handler: handler.command == "POST" and handler.refuse(403, text)
    recorder(shop).write(NOTICE, AT)
    assert not caplog.records


def test_a_server_that_is_away_is_tried_again(shop: ApiServer, caplog: pytest.LogCaptureFixture) -> None:
    shop.wrong = lambda handler: len(shop.requests) < 6 and handler.refuse(503, "starting")
    one = recorder(shop)
    one.start()
    one.tell(NOTICE)
    wait_for(lambda: told(shop))
    assert one.left_out == 0
    assert len([each for each in caplog.records if each.levelno == logging.WARNING]) == 1


def test_what_is_too_old_is_left_out(shop: ApiServer) -> None:
    shop.wrong = lambda handler: handler.refuse(503, "starting")
    one = recorder(shop, now=AT + events.LATEST_S + 1)
    one.write(NOTICE, AT)
    assert one.left_out == 1


@pytest.fixture
def stuck(shop: ApiServer) -> Iterator[ApiServer]:
    """A server that answers nothing until the test is over."""
    over = threading.Event()
    shop.wrong = lambda handler: over.wait(30) and False
    yield shop
    over.set()


def test_nobody_waits_for_a_server_that_hangs(stuck: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is more than fits into the queue is left out."""
    monkeypatch.setattr(events, "MOST_WAITING", 3)
    one = recorder(stuck)
    one.start()
    one.tell(NOTICE)
    wait_for(lambda: stuck.requests)  # it is being written
    for number in range(5):
        one.tell(replace(NOTICE, occurrence=str(number)))
    assert one.left_out == 2 and told(stuck) == []


def test_one_object_may_not_flood_the_cluster() -> None:
    """As client-go's filter: a burst, then one in five minutes."""
    spam, other = SpamFilter(), replace(POD, name="pay-2")
    assert [spam.lets(POD, AT) for _ in range(BURST + 1)] == [True] * BURST + [False]
    assert spam.lets(other, AT)
    assert not spam.lets(POD, AT + REFILL_S - 1)
    assert spam.lets(POD, AT + REFILL_S) and not spam.lets(POD, AT + REFILL_S)
    assert [spam.lets(POD, AT + 1e6) for _ in range(BURST + 1)].count(True) == BURST


def test_the_filter_forgets_objects_told_of_long_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MOST_OBJECTS", 10)
    spam = SpamFilter()
    for number in range(1000):
        spam.lets(replace(POD, name=str(number)), AT)
    assert len(spam._buckets) == 10
