"""A replica with one Service under the limits of a rule, whose endpoints count what they hold."""

import contextlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.integration.holding import Holding, holding
from tests.integration.http_rig import LINE, Client, unique
from tests.manifests import Manifests, gateway, namespace, service, slice_of
from tests.rig import Background, Replica, free_port, replica, wait_until

CLIENTS = 64


class Member:
    """As an EndpointSlice names it."""

    def __init__(self, ip: str, port: int) -> None:
        self.name, self.ip, self.port = f"pod-{ip}", ip, port


class Limited:
    """A replica with one Service under limits, and what its endpoints hold."""

    def __init__(self, made: Replica, endpoints: Holding) -> None:
        self.replica, self.endpoints = made, endpoints

    def cluster(self) -> dict[str, Any]:
        (found,) = self.replica.info("/clusters")
        return dict(found)

    def held(self, limit: str) -> int:
        return int(self.cluster()["held"][limit])

    def refused(self, limit: str) -> int:
        return int(self.cluster()["counters"]["refused"][limit])

    def client(self) -> Client:
        return Client(self.replica.port, 30)

    def asking(self, stack: contextlib.ExitStack, *fields: str) -> Client:
        """A client that has asked."""
        client = stack.enter_context(self.client())
        client.request("in-ambient", unique(), *fields)
        return client

    def line(self, path: str) -> dict[str, str]:
        (line,) = wait_until(lambda: self.replica.waypoint.lines(path), 5, "its line in the log")
        match = LINE.match(line)
        assert match, line
        return match.groupdict()

    def all_at_once(self, requests: int) -> Counter[int]:
        """What CLIENTS clients are answered, each of which asks so often, one after the other."""
        statuses: list[int] = []

        def run() -> None:
            with self.client() as client:
                for _ in range(requests):
                    statuses.append(client.ask("in-ambient", "/load")[0].status)

        with Background(*[run] * CLIENTS):
            pass
        return Counter(statuses)


@contextlib.contextmanager
def limited(
    directory: Path, pool: dict[str, Any], *, count: int = 1, workers: int = 1, dead: bool = False, **policy: Any
) -> Iterator[Limited]:
    """`dead`: besides, there is an endpoint that refuses connections, whose turn comes first."""
    with holding(count) as endpoints:
        members = [Member(ip, endpoints.port) for ip in endpoints.ips]
        if dead:
            members.insert(0, Member(endpoints.ips[0].replace(".7.", ".6."), endpoints.port))
        manifests, port = Manifests(directory / "manifests"), free_port()
        manifests.path.mkdir(parents=True)
        manifests.put("namespace", namespace())
        manifests.put("gateway", gateway(port))
        manifests.put("service", service())
        manifests.put("slice", slice_of(members))
        manifests.put("rule", rule({"connectionPool": pool} | policy))
        with replica(directory, manifests, port, workers=workers) as made:
            yield Limited(made, endpoints)


def rule(policy: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "DestinationRule",
        "metadata": {"name": "limits", "namespace": "httpbin"},
        "spec": {"host": "in-ambient", "trafficPolicy": {key: value for key, value in policy.items() if value}},
    }
