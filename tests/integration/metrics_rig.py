"""What a replica tells Prometheus, read with prometheus_client's parsers."""

import gzip
import http.client
import json
from collections import Counter
from typing import NamedTuple

from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from tests.rig import Replica

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
ANSWER = ("destination_service", "response_code", "response_flags", "source_principal")
"""The labels by which requests are compared: `Logged.by_answer` has the log's."""


class Sample(NamedTuple):
    """One line."""

    name: str
    labels: dict[str, str]
    value: float


class Samples(list[Sample]):
    """All lines of a scrape."""

    def total(self, name: str, **labels: str) -> float:
        """The sum of those of this name that have these labels."""
        return sum(each.value for each in self if each.name == name and labels.items() <= each.labels.items())

    def by(self, name: str, *labels: str) -> Counter[tuple[str, ...]]:
        """The sums of those of this name by the values of these labels."""
        found: Counter[tuple[str, ...]] = Counter()
        for each in self:
            if each.name == name and each.value:
                found[tuple(each.labels[label] for label in labels)] += int(each.value)
        return found


def scraped(port: int, accept: str = "", encoding: str = "") -> tuple[http.client.HTTPMessage, str]:
    """The head and the text of one answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", "/stats/prometheus", headers={"accept": accept, "accept-encoding": encoding})
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 200, body
        packed = answer.headers["content-encoding"] == "gzip"
        return answer.headers, (gzip.decompress(body) if packed else body).decode()
    finally:
        connection.close()


def scrape(replica: Replica, accept: str = "") -> Samples:
    head, text = scraped(replica.metrics, accept, "gzip")
    read = read_openmetrics if "openmetrics" in head["content-type"] else read_text
    return Samples(Sample(each.name, dict(each.labels), each.value) for family in read(text) for each in family.samples)


class Logged:
    """The access log of a replica that writes JSON, as the same numbers."""

    def __init__(self, replica: Replica) -> None:
        self.lines = [json.loads(line) for line in replica.waypoint.lines('{"start_time"')]
        self.requests = [line for line in self.lines if line["method"] or line["response_code"]]
        self.connections = [line for line in self.lines if not line["method"] and not line["response_code"]]

    def by_answer(self) -> Counter[tuple[str, ...]]:
        """Requests by Service, code, flags and the client's identity."""
        return Counter(
            (
                _service(line),
                str(line["response_code"]),
                line["response_flags"],
                line["downstream_peer_uri_san"] or "unknown",
            )
            for line in self.requests
        )

    def durations(self) -> int:
        return sum(line["duration"] for line in self.requests)

    def bytes_by_service(self, which: str) -> Counter[tuple[str, ...]]:
        """Of connections."""
        found: Counter[tuple[str, ...]] = Counter()
        for line in self.connections:
            found[(_service(line),)] += line[which]
        return +found


def _service(line: dict[str, str]) -> str:
    return (line["upstream_cluster"] or "|unknown").rpartition("|")[2]
