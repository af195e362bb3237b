from collections.abc import Iterable
from typing import NamedTuple

MAX_WORKERS: int
MAX_CLUSTERS: int
MAX_ENDPOINTS: int
FREE: int
STARTING: int
READY: int
DRAINING: int
BUCKETS_MS: tuple[int, ...]

class WorkerView(NamedTuple):
    slot: int
    pid: int
    state: int
    connections: int
    snapshot: int
    requests: int
    log_lines_dropped: int
    handed_over: int

class ClusterCounters(NamedTuple):
    requests_0xx: int
    requests_1xx: int
    requests_2xx: int
    requests_3xx: int
    requests_4xx: int
    requests_5xx: int
    retries: int
    ejections: int
    unejections: int
    overflows: int
    duration_ms_sum: int
    buckets: tuple[int, ...]

class EndpointView(NamedTuple):
    in_flight: int
    requests: int
    failed: int
    generation: int
    ejected_left_ms: int
    held: bool
    logged: bool
    dirty: bool
    failures: int
    ejections: int
    backoff: int
    ejection_ms: int

class OutlierState(NamedTuple):
    failures: int
    generation: int
    ejections: int
    backoff: int
    ejected_until_ms: int
    ejection_ms: int
    unejected_at_ms: int
    run: int
    held: bool
    logged: bool
    shared: bool
    dirty: bool

class Scoreboard:
    fd: int
    draining: bool
    reconciled: bool
    shared_state: bool
    @staticmethod
    def create() -> Scoreboard: ...
    @staticmethod
    def attach(fd: int) -> Scoreboard: ...
    def start_worker(self, slot: int, pid: int) -> None: ...
    def reap_worker(self, slot: int) -> None: ...
    def set_worker_state(self, slot: int, state: int) -> None: ...
    def set_worker_snapshot(self, slot: int, number: int) -> None: ...
    def workers(self) -> list[WorkerView]: ...
    def worker(self, slot: int) -> WorkerView: ...
    def assign_connection(self, slot: int) -> int: ...
    def add_connections(self, slot: int, n: int) -> None: ...
    def take_lease(self, slot: int) -> bool: ...
    def drop_lease(self, slot: int) -> None: ...
    def add_cluster(self, name: str) -> int: ...
    def remove_cluster(self, slot: int) -> None: ...
    def clusters(self) -> dict[str, int]: ...
    def add_endpoint(self, cluster: int, address: str, workload: str) -> int: ...
    def remove_endpoint(self, slot: int) -> None: ...
    def endpoints(self) -> dict[tuple[int, str, str], int]: ...
    def cluster_counters(self, slot: int) -> ClusterCounters: ...
    def count(
        self, worker: int, cluster: int, ejections: int = 0, unejections: int = 0, overflows: int = 0
    ) -> None: ...
    def endpoint_row(self, slot: int) -> EndpointView: ...
    def count_ejected(self, slots: Iterable[int]) -> int: ...
    def returns(self, slots: Iterable[int]) -> tuple[list[int], int]: ...
    def lock_cluster(self, slot: int) -> None: ...
    def unlock_cluster(self, slot: int) -> None: ...
    def outlier_state(self, slot: int) -> OutlierState: ...
    def set_outlier_state(self, slot: int, state: OutlierState) -> None: ...
    def fleet_version(self, slot: int) -> tuple[int, str]: ...
    def set_fleet_version(self, slot: int, version: int, epoch: str) -> None: ...
    def set_dirty(self, slot: int, dirty: bool) -> None: ...
