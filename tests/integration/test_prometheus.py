"""A real Prometheus scrapes a replica: it has the access log's numbers, and Istio's dashboard and ours are full."""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from tests.integration import prometheus_rig
from tests.integration.hbone_rig import HboneBench, Served, outlier_rule, service
from tests.integration.http_rig import Client
from tests.integration.metrics_rig import ANSWER, Logged, Sample
from tests.integration.metrics_traffic import counted_bench, kill_worker, traffic
from tests.integration.prometheus_rig import JOBS, MONITORING, Prometheus, prometheus
from tests.integration.token_rig import authentication, authorization
from tests.issuer_rig import Issuer
from tests.rig import wait_until

METRIC = re.compile(r"\b(?:istio|waypointd)_\w+")
VARIABLES = {"$namespace": ".*", "$cluster": ".*", "$__rate_interval": "10m"}


class Watched(NamedTuple):
    """A replica and who scrapes it."""

    bench: HboneBench
    prometheus: Prometheus


def rounds_of_traffic(watched: Watched, count: int, rounds: int) -> None:
    """A worker is killed after each but the last, when all is written and scraped that has happened."""
    for number in range(rounds):
        if number:
            kill_worker(watched.bench, number)
        traffic(watched.bench, count)
        for job in JOBS:
            agree(watched, job)


def eject(bench: HboneBench) -> None:
    bench.services["half"][0].stop()
    with Client(bench.http) as client:
        wait_until(lambda: client.ask("half.httpbin") and bench.ejected("half"), 10)


def govern(bench: HboneBench) -> None:
    """Service governed has a route, a policy, tokens, a rate limit and limits of what it may have; nobody asks it."""
    parent = {"group": "", "kind": "Service", "name": "governed"}
    spec = {"parentRefs": [parent], "rules": [{"backendRefs": [{"name": "governed", "port": 8000}]}]}
    metadata = {"name": "governed", "namespace": "httpbin"}
    route = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": metadata, "spec": spec}
    limited = service(bench.served["governed"], bench.vips["governed"])
    limited["metadata"]["annotations"] = {"waypointd.io/rate-limit": "10/second"}
    bench.manifests.put("route-governed", route)
    bench.manifests.put("policy-governed", authorization("governed", {"to": [{"operation": {"methods": ["GET"]}}]}))
    bench.manifests.put("tokens-governed", authentication("governed", [{"issuer": "a", "jwks": Issuer("a").jwks}]))
    bench.replica.serve(lambda: bench.manifests.put("service-governed", limited))


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """Traffic has been there, a worker has died, an endpoint is out."""
    prometheus_rig.program()
    directory = tmp_path_factory.mktemp("prometheus")
    half = Served("half", count=2, hbone=False, rule=outlier_rule("half", baseEjectionTime="10m"))
    pool = {"tcp": {"maxConnections": 100}, "http": {"http2MaxRequests": 100}}
    limits = outlier_rule("governed")
    limits["spec"]["trafficPolicy"]["connectionPool"] = pool
    governed = Served("governed", hbone=False, rule=limits)
    with (
        counted_bench(directory, half, governed) as bench,
        prometheus(directory / "prometheus", bench.replica) as scraping,
    ):
        made = Watched(bench, scraping)
        govern(bench)
        eject(bench)
        rounds_of_traffic(made, 100, 2)
        yield made


def agree(watched: Watched, job: str) -> None:
    """Waits until what Prometheus has is what the log says."""
    bench, told = watched

    def same() -> bool:
        logged = Logged(bench.replica)
        whole = told.by("istio_requests_total", job, *ANSWER) == logged.by_answer()
        return whole and told.total("istio_tcp_connections_closed_total", job) == len(logged.connections)

    wait_until(same, 20, f"{job}: the numbers of the log")
    logged = Logged(bench.replica)
    for name in ("istio_request_duration_milliseconds", "istio_request_bytes", "istio_response_bytes"):
        assert told.by(f"{name}_count", job, *ANSWER) == logged.by_answer(), name
    assert told.total("istio_request_duration_milliseconds_sum", job) == logged.durations()
    for name, field in (("received", "bytes_received"), ("sent", "bytes_sent")):
        ours = told.by(f"istio_tcp_{name}_bytes_total", job, "destination_service")
        assert ours == logged.bytes_by_service(field)


@pytest.mark.parametrize("job", JOBS)
def test_its_numbers_are_the_access_logs_though_a_worker_died(watched: Watched, job: str) -> None:
    agree(watched, job)
    assert len(Logged(watched.bench.replica).lines) > 2000
    assert watched.prometheus.total("waypointd_worker_restarts_total", job) >= 1


def test_it_asks_for_openmetrics(watched: Watched) -> None:
    """Where a counter's family is called without `_total`."""
    told = watched.prometheus.ask("targets/metadata")
    names = {job: {each["metric"] for each in told if each["target"]["job"] == job} for job in JOBS}
    assert {"istio_requests", "istio_build"} <= names["openmetrics"]
    assert {"istio_requests_total", "istio_build"} <= names["text"]


def filled_in(expression: str) -> str:
    """A dashboard's expression with values for its variables."""
    for variable, value in VARIABLES.items():
        expression = expression.replace(variable, value)
    return expression


def shown(watched: Watched, expression: str) -> list[Sample]:
    """What a dashboard shows; when a scrape took too long, that is nothing until the next one."""
    found = wait_until(lambda: watched.prometheus.query(filled_in(expression)), 10, expression)
    return list(found)


def growth(name: str, by: str = "", more: str = "") -> str:
    """How a metric grows by second: what Istio's queries consist of."""
    grouped = f"by ({by}) " if by else ""
    return f'sum {grouped}(rate({name}{{reporter=~"source|waypoint"{more}}}[$__rate_interval]))'


def test_K33_istios_mesh_dashboard_has_data(watched: Watched) -> None:
    """What its panels ask for: by all, by workload, by Service; codes, quantiles, bytes of TCP, versions."""
    workload = "destination_workload, destination_workload_namespace"
    requests, well = "istio_requests_total", ', response_code!~"5.."'
    buckets = growth("istio_request_duration_milliseconds_bucket", f"le, {workload}")
    tcp = [f"istio_tcp_{each}_bytes_total" for each in ("received", "sent")]
    for expression in (
        f"round({growth(requests)}, 0.01)",
        f"{growth(requests, more=well)} / {growth(requests)}",
        *(growth(requests, more=f', response_code=~"{each}.."') for each in (4, 5)),
        growth(requests, f"{workload}, destination_service"),
        *(f"histogram_quantile({each}, {buckets})" for each in (0.5, 0.9, 0.99)),
        f"{growth(requests, workload, well)} / {growth(requests, workload)}",
        *(growth(each, f"{workload}, destination_service") for each in tcp),
        "sum by (component, tag) (istio_build)",
    ):
        found = shown(watched, expression)
        assert any(each.value > 0 for each in found), expression
        if workload in expression:
            assert any(each.labels["destination_workload_namespace"] == "httpbin" for each in found), expression


# -- ours -------------------------------------------------------------------------------------------------------------


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((MONITORING / "dashboard.json").read_text())
    return found


@pytest.mark.parametrize("panel", dashboard()["panels"], ids=lambda panel: str(panel["title"]))
def test_our_dashboard_has_data(watched: Watched, panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        found = shown(watched, target["expr"])
        legend = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
        assert any(legend <= each.labels.keys() for each in found), target


def test_our_dashboards_numbers_are_what_happened(watched: Watched) -> None:
    def total(title: str) -> float:
        (panel,) = [each for each in dashboard()["panels"] if each["title"] == title]
        return sum(each.value for each in shown(watched, panel["targets"][0]["expr"]))

    assert total("Endpoints out") == 1
    assert total("Replicas without Redis") == 0
    assert total("Ejections") >= 1
    assert total("Workers that ended") >= 1
    assert total("First certificate ends in") > 0


def test_the_variables_of_our_dashboard_have_values(watched: Watched) -> None:
    values = {}
    for variable in dashboard()["templating"]["list"]:
        if match := re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]):
            ask = {"match[]": filled_in(match[1])}
            values[variable["name"]] = watched.prometheus.ask(f"label/{match[2]}/values", **ask)
    assert values["namespace"] == ["httpbin"]
    assert "httpbin/half:8000" in values["cluster"]


def test_our_alerts_are_evaluated_on_metrics_that_there_are(watched: Watched) -> None:
    (group,) = watched.prometheus.ask("rules")["groups"]
    rules = {each["name"]: each for each in group["rules"]}
    assert {each["health"] for each in rules.values()} == {"ok"}, rules
    there = set(watched.prometheus.ask("label/__name__/values"))
    asked = {name for each in rules.values() for name in METRIC.findall(each["query"])}
    assert len(asked) >= len(rules) and asked <= there
    assert rules["WaypointdEndpointEjectedForLong"]["state"] == "pending"


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_its_numbers_are_the_access_logs_over_a_hundred_thousand_requests(watched: Watched) -> None:
    rounds_of_traffic(watched, 2000, 5)
    assert len(Logged(watched.bench.replica).lines) >= 100_000
