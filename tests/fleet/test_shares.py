"""Limits that replicas keep together: real replicas, a real server, endpoints that count what they hold."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from proxy.mesh.kinds.destination_rule import LIMITS_SCOPE_ANNOTATION
from state.server.embedded import Embedded
from tests.fleet.fleet_rig import restarted
from tests.integration.holding import Holding, holding
from tests.integration.http_rig import Client
from tests.integration.limited import Member, rule
from tests.manifests import Manifests, gateway, namespace, service, slice_of
from tests.rig import Background, Replica, free_port, replica, wait_until


class Shared:
    """A fleet under the limits of one rule."""

    def __init__(self, path: Path, url: str, endpoints: Holding, pool: Mapping[str, Any], stack: ExitStack) -> None:
        self.path, self.url, self.endpoints, self.pool = path, url, endpoints, pool
        self._stack = stack
        self.replicas: list[Replica] = []

    def start(self, name: str, workers: int = 1) -> Replica:
        """One more replica."""
        made, port = Manifests(self.path / name / "manifests"), free_port()
        made.path.mkdir(parents=True)
        body = rule({"connectionPool": self.pool})
        body["metadata"]["annotations"] = {LIMITS_SCOPE_ANNOTATION: "fleet"}
        for kind, manifest in (
            ("namespace", namespace()),
            ("gateway", gateway(port)),
            ("service", service()),
            ("slice", slice_of([Member(ip, self.endpoints.port) for ip in self.endpoints.ips])),
            ("rule", body),
        ):
            made.put(kind, manifest)
        started = self._stack.enter_context(
            replica(self.path / name, made, port, redis=self.url, workers=workers, name=name)
        )
        self.replicas.append(started)
        return started


def shares(one: Replica) -> dict[str, int]:
    """As the replica itself has them."""
    (found,) = one.info("/clusters")
    return dict(found["shares"])


def with_share(one: Replica) -> Replica:
    """Redis may seem away to one that starts, where the machine is that busy."""
    wait_until(lambda: "requests" in shares(one), 60, "it has a share")
    return one


@contextmanager
def shared(path: Path, pool: Mapping[str, Any]) -> Iterator[tuple[Shared, Embedded]]:
    server = Embedded.start(0)
    try:
        with holding() as endpoints, ExitStack() as stack:
            yield Shared(path, server.url, endpoints, pool, stack), server
    finally:
        server.stop()


@contextmanager
def clients(made: Shared, each: int) -> Iterator[Callable[[Replica], None]]:
    """So many clients of every replica that is named, who ask all the time."""
    with ExitStack() as stack:
        backgrounds: list[Background] = []

        def ask(port: int) -> None:
            with Client(port, 30) as client:
                while not backgrounds[0].stopping.is_set():
                    client.ask("in-ambient", "/load")

        def load(one: Replica) -> None:
            background = Background(*[lambda: ask(one.port)] * each)
            backgrounds.append(background)
            stack.enter_context(background)

        try:
            yield load
        finally:
            for background in backgrounds:
                background.stopping.set()


LIMIT = 24


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_5_a_limit_of_the_fleet_is_never_exceeded_while_replicas_go_from_2_to_8(tmp_path: Path) -> None:
    with shared(tmp_path, {"http": {"http2MaxRequests": LIMIT}}) as (made, server):
        made.endpoints.delay = 0.1
        two = [made.start(name, workers=2) for name in "ab"]
        with clients(made, 16) as load:
            for one in two:
                load(with_share(one))
            wait_until(lambda: made.endpoints.most_requests >= LIMIT - 2, 60, "two replicas use what there is")
            for name in "cdefgh":
                load(with_share(made.start(name)))
            fair = LIMIT // 8
            wait_until(
                lambda: all(shares(each)["requests"] == fair for each in made.replicas), 120, "each has its part"
            )
            assert LIMIT - 2 <= made.endpoints.most_requests <= LIMIT, "never one too many meanwhile"
            made.endpoints.most_requests = 0
            wait_until(lambda: made.endpoints.most_requests >= LIMIT - 4, 60, "eight replicas use what there is")
            server.stop()
            kept = [shares(each)["requests"] for each in made.replicas]
            answered = made.endpoints.answered
            wait_until(lambda: made.endpoints.answered > answered + 20 * LIMIT, 120, "they go on")
            assert [shares(each)["requests"] for each in made.replicas] == kept, "each keeps its last share"
            assert sum(kept) <= LIMIT
            assert made.endpoints.most_requests <= LIMIT


def test_a_replica_that_only_shares_limits_notices_that_redis_has_gone(tmp_path: Path) -> None:
    with shared(tmp_path, {"http": {"http2MaxRequests": LIMIT}}) as (made, server):
        one = with_share(made.start("a"))
        assert one.info()["shared_state"]["mode"] == "shared"
        server.process.kill()
        server.process.wait()
        wait_until(lambda: one.info()["shared_state"]["mode"] == "local", 5, "it decides by itself")
        assert "Redis does not answer" in one.waypoint.errors()
        assert shares(one)["requests"] == LIMIT // 2, "and keeps its share"
        again = restarted(server)
        try:
            wait_until(lambda: one.info()["shared_state"]["mode"] == "shared", 10, "the fleet's again")
            wait_until(lambda: shares(one)["requests"] == LIMIT // 2, 10, "it asks for its share")
        finally:
            again.stop()
