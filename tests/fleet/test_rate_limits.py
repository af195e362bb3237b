"""A rate limit that replicas keep together: real replicas, a real server."""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest

from proxy.mesh.kinds.rate_limits import ANNOTATION
from state.server.embedded import Embedded
from tests.fleet.fleet_rig import CLUSTER, Fleet, fleet
from tests.integration.http_rig import Client
from tests.manifests import service
from tests.rig import Background, answer, wait_until


@contextmanager
def limited(path: Path, text: str, replicas: int, workers: int = 1) -> Iterator[Fleet]:
    """A fleet whose Service has that limit."""
    server = Embedded.start(0)
    try:
        with fleet(path, server.url, replicas=replicas, workers=workers) as made:
            body = service()
            body["metadata"]["annotations"] = {ANNOTATION: text}
            for each, manifests in zip(made.replicas, made.manifests, strict=True):
                each.serve(partial(manifests.put, "service", body))
            wait_until(lambda: len(asked_ms(made)) == replicas, 10, "each has said that it is there")
            yield made
    finally:
        server.stop()


def kept(made: Fleet) -> dict[str, str]:
    """What the fleet knows of its limit."""
    keys = made.client.keys(f"waypoint:{{{CLUSTER}}}:rate_limit:*")
    return dict(made.client.hgetall(keys[0])) if keys else {}


def asked_ms(made: Fleet) -> dict[str, int]:
    """When each replica has asked last."""
    return {name: int(value) for name, value in kept(made).items() if name.startswith("replica:")}


@pytest.mark.slow
def test_two_replicas_let_in_together_what_one_limit_lets_in(tmp_path: Path) -> None:
    with limited(tmp_path, "20/day scope=fleet", 2, workers=2) as made:
        one, other = made.replicas
        found: list[int] = []

        def used() -> bool:
            found.append(answer(one.port))
            return found.count(200) == 20

        wait_until(used, 20, "as many as there may be, all by the same replica")
        before = max(asked_ms(made).values())
        wait_until(lambda: min(asked_ms(made).values()) > before, 10, "the other has heard that there are no more")
        answers = [answer(each.port) for each in (one, other) for _ in range(20)]
        assert answers == [429] * 40
        assert kept(made)["limit"] == "20/day burst=20 key=none scope=fleet"
        (line, *_) = other.waypoint.lines(" 429 ")
        assert " RL request_rate_limited " in line


@pytest.mark.slow
def test_two_replicas_count_each_user_together(tmp_path: Path) -> None:
    with limited(tmp_path, "20/day key=header:x-user scope=fleet", 2) as made, ExitStack() as stack:
        one, other = (stack.enter_context(Client(each.port)) for each in made.replicas)
        found: dict[str, list[int]] = {"anna": [], "bert": []}

        def asked(client: Client, user: str) -> int:
            found[user].append(client.ask("in-ambient", "/", f"x-user: {user}")[0].status)
            return found[user].count(200)

        wait_until(lambda: asked(one, "anna") >= 20, 30, "as many as there may be, all by the same replica")
        wait_until(lambda: asked(other, "anna") and found["anna"][-30:] == [429] * 30, 30, "the other has heard of it")
        assert found["anna"].count(200) <= 30, "its share of 10 is what it lets in before"
        assert asked(other, "bert") == 1


# Requests a second at each of eight replicas, of which the limit lets in half.
UNEVEN = (200, 100, 50, 20, 10, 10, 5, 5)
LIMIT, SECONDS = 200, 15


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_eight_replicas_under_uneven_load_let_in_what_the_limit_says_within_two_percent(tmp_path: Path) -> None:
    with limited(tmp_path, f"{LIMIT}/second burst=20 scope=fleet", 8) as made:
        loads = [Load(each.port, rate) for each, rate in zip(made.replicas, UNEVEN, strict=True)]
        with Background(*[load.run for load in loads]) as background:
            for load in loads:
                load.over = background.stopping.is_set
            time.sleep(3)
            began, calls = time.monotonic(), scripts_run(made)
            before = sum(load.let_in for load in loads)
            time.sleep(SECONDS)
            took, let_in = time.monotonic() - began, sum(load.let_in for load in loads) - before
            calls = scripts_run(made) - calls
        took_ms = sorted(1000 * each for load in loads for each in load.took)
        print(f"{let_in / took:.1f}/s of {LIMIT}/s let in, of {sum(UNEVEN)}/s; {calls / took:.1f} calls/s of Redis")
        print(f"p50 {statistics.median(took_ms):.2f} ms, p99 {took_ms[len(took_ms) * 99 // 100]:.2f} ms")
        assert let_in == pytest.approx(LIMIT * took, rel=0.02)
        assert calls / took < 50


def scripts_run(made: Fleet) -> int:
    """So far, on the server."""
    return int(made.client.info("commandstats").get("cmdstat_evalsha", {}).get("calls", 0))


class Load:
    """A client of one replica that asks so often a second, whatever it is answered."""

    def __init__(self, port: int, rate: int) -> None:
        self.port, self.rate = port, rate
        self.let_in = 0
        self.took: list[float] = []
        self.over: Callable[[], bool] = bool

    def run(self) -> None:
        began, count = time.monotonic(), 0
        with Client(self.port) as client:
            while not self.over():
                count += 1
                time.sleep(max(0.0, began + count / self.rate - time.monotonic()))
                asked = time.monotonic()
                head, _ = client.ask("in-ambient", "/")
                self.took.append(time.monotonic() - asked)
                self.let_in += head.status == 200
