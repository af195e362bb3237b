"""docs/metrics.md names every family that there is, with its type and labels, and no other."""

import re
from pathlib import Path

from proxy.admin.metrics import replica
from proxy.admin.metrics.family import Distribution, Family
from proxy.admin.metrics.series import SeriesFamilies
from proxy.controller.forms import cluster_form
from proxy.mesh.model import Cluster, Endpoint, Group, Locality, Profile, Spread
from proxy.mesh.traffic.outlier import OutlierDetection
from proxy.mesh.traffic.policy import EffectivePolicy
from proxy.scoreboard.scoreboard import Scoreboard
from tests.instruments.counting import Counter

ROOT = Path(__file__).resolve().parents[3]
NAME = re.compile(r"\b(?:istio|waypointd)_[a-z_]+[a-z]\b")
SOURCES = [*(ROOT / "proxy/admin/metrics").glob("*.py"), ROOT / "proxy/controller/metrics.py"]


def documented() -> dict[str, tuple[str, set[str]]]:
    """Type and labels of each family, as the tables say."""
    found = {}
    for line in (ROOT / "docs/metrics.md").read_text().splitlines():
        if match := re.match(r"\| `(\w+)` \| (counter|gauge|histogram) \|(?: ((?:`\w+`(?:, )?)*) ?\|)?", line):
            found[match[1]] = match[2], set(re.findall(r"`(\w+)`", match[3] or ""))
    return found


def board() -> Scoreboard:
    """On which something of everything has happened."""
    made = Scoreboard.create()
    slot = made.clusters.add("httpbin/in-ambient:8000")
    made.endpoints.add(slot, "10.0.0.1:80", "pod")
    made.workers.start(0, 1)
    made.clusters.count_ejection(0, slot, "consecutive_5xx", True)
    made.shared_state = True
    for text in (
        b"route\0r\0002xx",
        b"rbac\0c\0allowed\0",
        b"jwt\0c\0success\0",
        b"limit\0c\0allowed\0",
        b"retried\0c\0success",
    ):
        made.counts.add(0, text, 1)
    counter = Counter(made, 0)
    counter.request()
    counter.open()
    return made


def told() -> dict[str, Family]:
    """What the scoreboard's families are."""
    policy = EffectivePolicy(outlier_detection=OutlierDetection(3, 10000, 30000, 50))
    endpoint = Endpoint("10.0.0.1", 80, "pod", profile=Profile("web", "httpbin"))
    spread = Spread((Group(1, "same region"),), True, "outlierDetection", Locality("eu"))
    cluster = Cluster("httpbin/in-ambient:8000", "", "in-ambient:8000", (endpoint,), policy, spread=spread)
    forms = {cluster.name: cluster_form(cluster, 0, [0])}
    made = board()
    return {each.name: each for each in (*SeriesFamilies(made, "1").read(), *replica.families(made, forms))}


def test_every_name_is_documented() -> None:
    used = {name for path in SOURCES for name in NAME.findall(path.read_text())}
    assert used - {"waypointd_workers"} == documented().keys() - {"waypointd_workers"}


def test_types_and_labels_are_as_documented() -> None:
    listed = documented()
    for name, family in told().items():
        type_, labels = listed[name]
        assert family.type == type_, name
        for each, value in family.samples:
            assert isinstance(value, Distribution) == (type_ == "histogram")
            if not name.startswith("istio_"):
                assert {label for label, _ in each.pairs} == labels, name
