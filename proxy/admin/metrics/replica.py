"""waypointd's own metrics, as far as the scoreboard has them: clusters, the fleet, workers."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence

from proxy.admin.metrics import counted, groups
from proxy.admin.metrics.family import COUNTER, GAUGE, HISTOGRAM, Distribution, Family, Labels, one
from proxy.ipc.snapshot import ClusterForm
from proxy.scoreboard.buckets import BOUNDS_OF_ISTIO, BUCKETS_MS
from proxy.scoreboard.clusters import EJECTION_REASONS, LIMITS
from proxy.scoreboard.scoreboard import Scoreboard
from proxy.scoreboard.views import ClusterCounters, WorkerView
from proxy.scoreboard.workers import DRAINING, FREE, READY, STARTING

_CLASSES = ("none", "1xx", "2xx", "3xx", "4xx", "5xx")
_STATES = {READY: "ready", STARTING: "starting", DRAINING: "draining"}
_COMMONEST = ("here", "consecutive_5xx")
"""Ejections of which none is told as well: Prometheus takes no series that begins with 1 for an increase."""
NO_SHARES = (-1,) * len(LIMITS)
_PAGE = os.sysconf("SC_PAGE_SIZE")


def families(board: Scoreboard, clusters: Mapping[str, ClusterForm]) -> Iterator[Family]:
    """`clusters` are those of the snapshot in force."""
    yield from _of_clusters(board)
    yield from _of_configured(board, clusters)
    yield from groups.families(board, clusters)
    yield from counted.families(board, clusters)
    yield from _of_fleet(board, clusters)
    yield from _of_workers(board.workers.all_rows())


# -- clusters --------------------------------------------------------------------------------------------------------


def _of_clusters(board: Scoreboard) -> Iterator[Family]:
    rows = [(_cluster(name), board.clusters.counters(slot)) for name, slot in board.clusters.slots().items()]
    yield Family("waypointd_cluster_requests_total", COUNTER, "Requests that are over.", _classes(rows))
    yield Family(
        "waypointd_cluster_request_duration_seconds",
        HISTOGRAM,
        "How long they took.",
        [(labels, Distribution(each.buckets, each.duration_ms_sum / 1000)) for labels, each in rows],
        [bound / 1000 for bound in BUCKETS_MS],
    )
    yield Family("waypointd_outlier_ejections_total", COUNTER, "Ejections put in force.", _ejections(rows))
    for name, type_, text, field in (
        ("waypointd_retries_total", COUNTER, "Attempts after a request's first one.", "retries"),
        ("waypointd_outlier_unejections_total", COUNTER, "Endpoints that take traffic again.", "unejections"),
        ("waypointd_outlier_overflows_total", COUNTER, "Ejections that maxEjectionPercent forbade.", "overflows"),
        ("waypointd_endpoint_connections_opened_total", COUNTER, "Connections made to endpoints.", "opened"),
        ("waypointd_endpoint_connection_failures_total", COUNTER, "Connections that could not be made.", "unopened"),
        ("waypointd_pool_idle_connections", GAUGE, "Connections that wait for a request.", "idle"),
        ("waypointd_pool_reuses_total", COUNTER, "Requests that were given such a one.", "reused"),
        ("waypointd_mirrored_requests_total", COUNTER, "Copies of requests for it.", "mirrored"),
        ("waypointd_mirrors_dropped_total", COUNTER, "Copies of requests that were not made.", "unmirrored"),
    ):
        yield Family(name, type_, text, [(labels, getattr(each, field)) for labels, each in rows])


def _cluster(name: str) -> Labels:
    return Labels((("cluster", name),))


def _classes(counted: Sequence[tuple[Labels, ClusterCounters]]) -> Iterator[tuple[Labels, float]]:
    for labels, each in counted:
        for code_class, count in zip(_CLASSES, each, strict=False):  # the first fields of ClusterCounters
            if isinstance(count, int) and count:
                yield Labels((*labels.pairs, ("code_class", code_class))), count


def _ejections(counted: Sequence[tuple[Labels, ClusterCounters]]) -> Iterator[tuple[Labels, float]]:
    for labels, each in counted:
        for decided, counts in (("here", each.decided), ("fleet", each.followed)):
            for reason, count in zip(EJECTION_REASONS, counts, strict=True):
                if count or (decided, reason) == _COMMONEST:
                    yield Labels((*labels.pairs, ("reason", reason), ("decided", decided))), count


def _of_configured(board: Scoreboard, clusters: Mapping[str, ClusterForm]) -> Iterator[Family]:
    now = board.endpoints.by_cluster()
    rows = [(_cluster(name), form, now.get(form["slot"], (0, 0))) for name, form in clusters.items()]
    for name, text, values in (
        ("waypointd_endpoints", "Endpoints that are ready.", [len(form["endpoints"]) for _, form, _ in rows]),
        ("waypointd_outlier_ejected_endpoints", "Endpoints that are out.", [out for _, _, (out, _) in rows]),
        ("waypointd_attempts_in_flight", "Attempts that are running.", [running for _, _, (_, running) in rows]),
        ("waypointd_cluster_closed", "1: every request gets 403.", [int(bool(form["closed"])) for _, form, _ in rows]),
    ):
        yield Family(name, GAUGE, text, [(row[0], value) for row, value in zip(rows, values, strict=True)])
    yield from _of_limits(board, clusters)
    yield Family(
        "waypointd_outlier_policy",
        GAUGE,
        "1 where outlierDetection is in force.",
        [
            (Labels((*labels.pairs, ("destination_rule", form["destination_rule"]))), 1)
            for labels, form, _ in rows
            if form["outlier"]
        ],
    )


def _of_limits(board: Scoreboard, clusters: Mapping[str, ClusterForm]) -> Iterator[Family]:
    """What there is of it where something is limited; connections are counted everywhere."""
    rows = [
        (
            Labels((("cluster", name), ("limit", limit))),
            held,
            refused,
            share if share >= 0 else form["pool"].get(limit, 0),
        )
        for name, form in clusters.items()
        for limit, held, refused, share in zip(
            LIMITS,
            board.clusters.held(form["slot"]),
            board.clusters.counters(form["slot"]).refused,
            board.shares.of(form["slot"]) if form["pool"].get("fleet") else NO_SHARES,
            strict=True,
        )
        if form["pool"] or limit == "connections"
    ]
    for name, type_, text, values in (
        ("waypointd_breaker_held", GAUGE, "What there is now of it.", [held for _, held, _, _ in rows]),
        ("waypointd_breaker_overflows_total", COUNTER, "There was no room for more.", [row[2] for row in rows]),
    ):
        yield Family(name, type_, text, [(row[0], value) for row, value in zip(rows, values, strict=True)])
    limited = [(labels, held, most) for labels, held, _, most in rows if isinstance(most, int) and most]
    yield Family("waypointd_breaker_limit", GAUGE, "How much there may be.", [(row[0], row[2]) for row in limited])
    full = [(labels, int(held >= most)) for labels, held, most in limited]
    yield Family("waypointd_breaker_open", GAUGE, "1: there is as much as there may be.", full)


# -- the fleet -------------------------------------------------------------------------------------------------------


def _of_fleet(board: Scoreboard, clusters: Mapping[str, ClusterForm]) -> Iterator[Family]:
    mode, reports = board.mode(), board.workers.reports()
    alone = sum(board.clusters.alone(form["slot"]) for form in clusters.values())
    yield one("waypointd_fleet_shared_state", GAUGE, "1: Redis decides. 0: this replica by itself.", int(mode.shared))
    yield one("waypointd_fleet_shared_state_losses_total", COUNTER, "How often Redis ceased to decide.", board.losses)
    if mode.since_ms:
        since = round(time.time() - time.monotonic() + mode.since_ms / 1000, 3)
        name = "waypointd_fleet_shared_state_changed_timestamp_seconds"
        yield one(name, GAUGE, "When that changed last.", since)
    yield one("waypointd_fleet_reconciled", GAUGE, "1: the fleet's ejections have been read.", int(board.reconciled))
    yield one("waypointd_fleet_suspects_itself", GAUGE, "1: failures stay here.", int(board.suspects_itself))
    yield one("waypointd_fleet_decides_alone_clusters", GAUGE, "Clusters with keys of no use in Redis.", alone)
    yield one("waypointd_redis_reports_total", COUNTER, "Reports that Redis answered.", reports.answered)
    yield one("waypointd_redis_errors_total", COUNTER, "Reports that it did not answer.", reports.failed)
    yield Family(
        "waypointd_redis_report_duration_seconds",
        HISTOGRAM,
        "How long answers took.",
        [(Labels(), Distribution(reports.buckets, reports.duration_us / 1e6))],
        [bound / 1000 for bound in BOUNDS_OF_ISTIO],
    )


# -- processes -------------------------------------------------------------------------------------------------------


def _of_workers(rows: Sequence[WorkerView]) -> Iterator[Family]:
    states = [(Labels((("state", word),)), sum(row.state == state for row in rows)) for state, word in _STATES.items()]
    yield Family("waypointd_workers", GAUGE, "Workers by state.", states)
    for name, type_, text, field in (
        ("waypointd_worker_requests_total", COUNTER, "Requests and TCP connections that are over.", "requests"),
        ("waypointd_worker_handed_over_total", COUNTER, "Connections accepted for less busy ones.", "handed_over"),
        ("waypointd_worker_connections", GAUGE, "Connections of clients.", "connections"),
        ("waypointd_worker_unread_answers", GAUGE, "Answers that wait for clients to read.", "unread_answers"),
        ("waypointd_worker_waiting_requests", GAUGE, "Requests that are not begun before that.", "waiting_requests"),
        ("waypointd_worker_access_log_dropped_total", COUNTER, "Lines nobody took in time.", "log_lines_dropped"),
        ("waypointd_worker_tokens_taken_total", COUNTER, "Requests with a good token.", "tokens_taken"),
        ("waypointd_worker_tokens_refused_total", COUNTER, "Requests with another.", "tokens_refused"),
        ("waypointd_worker_snapshot_number", GAUGE, "The configuration that a worker serves.", "snapshot"),
    ):
        living = rows if type_ == COUNTER else [row for row in rows if row.state != FREE]
        yield Family(name, type_, text, [(_worker(row), getattr(row, field)) for row in living])
    restarts = [(_worker(row), max(row.starts - 1, 0)) for row in rows]
    yield Family("waypointd_worker_restarts_total", COUNTER, "Workers that followed another.", restarts)
    cpu = [(_worker(row), row.cpu_ns / 1e9) for row in rows]
    yield Family("waypointd_worker_cpu_seconds_total", COUNTER, "CPU time.", cpu)
    sizes = [(_worker(row), resident_bytes(row.pid)) for row in rows if row.state != FREE]
    memory = [(labels, size) for labels, size in sizes if size]
    yield Family("waypointd_worker_resident_memory_bytes", GAUGE, "Memory.", memory)


def _worker(row: WorkerView) -> Labels:
    return Labels((("worker", str(row.slot)),))


def resident_bytes(pid: int) -> int:
    """What a process has in memory, what it shares with others too (proc_pid_statm(5)); 0: it has gone."""
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * _PAGE
    except (OSError, ValueError, IndexError):
        return 0
