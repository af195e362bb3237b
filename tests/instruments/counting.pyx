"""Counting for Istio's metrics as a worker counts, for tests and a benchmark: without a request."""

from proxy.clock cimport monotonic_ns
from proxy.relay.context.tallies cimport AS_HTTP, AS_TCP, Party, Tallies
from proxy.scoreboard.layout cimport OF_CONNECTIONS, OF_REQUESTS, Tally
from proxy.scoreboard.scoreboard cimport Scoreboard


cdef class Counter:
    """One worker's, with an endpoint and a Service to count under."""

    cdef Tallies tallies
    cdef Party source, destination, service

    def __init__(self, Scoreboard board, int worker, str workload="in-ambient", bytes identity=None, bytes baggage=None):
        self.tallies = Tallies(board, worker, "Kubernetes", "cluster.local")
        self.source = self.tallies.peer(identity, baggage)
        self.turn_to(workload)
        self.service = self.tallies.service("httpbin/in-ambient:8000", b"in-ambient.httpbin.svc.cluster.local")

    def come_from(self, bytes identity, bytes baggage) -> None:
        """This client asks from now on."""
        self.source = self.tallies.peer(identity, baggage)

    def find_by_address(self) -> None:
        """There are no endpoints yet when first somebody is looked for."""
        self.tallies.find_by_address(lambda: None)

    def meet(self, bytes address, str workload) -> None:
        """An endpoint of this workload is there."""
        self.tallies.meet(address, [workload, "httpbin", "", "v1", workload, "v1"], "", True)

    def part(self, bytes address) -> None:
        """It has gone."""
        self.tallies.part(address)

    def asks_from(self, bytes peer) -> bytes | None:
        """The workload whose client has this address and no certificate; None: nobody's who is known."""
        cdef Party found = self.tallies.at_address(peer, None)
        return None if found is None else found.labels[0]

    def turn_to(self, str workload) -> None:
        """The endpoint is this workload's from now on."""
        self.destination = self.tallies.destination([workload, "httpbin", "", "v1", workload, "v1"], "ns/httpbin/sa/web")

    cdef Tally* of(self, int kind, int status, bytes flags) except NULL:
        cdef Tally* tally = self.tallies.of(kind, AS_TCP if kind == OF_CONNECTIONS else AS_HTTP, self.source,
                                            self.destination, self.service, status, -1, flags)
        tally.touched = monotonic_ns()
        return tally

    def request(self, int status=200, bytes flags=b"-") -> None:
        """One of less than a millisecond is over."""
        self.of(OF_REQUESTS, status, flags).counted.of_requests.durations[0] += 1

    def requests_ns(self, int count) -> float:
        """What counting one of `count` took, in nanoseconds."""
        cdef long long began = monotonic_ns()
        for _ in range(count):
            self.of(OF_REQUESTS, 200, b"-").counted.of_requests.durations[0] += 1
        return <double>(monotonic_ns() - began) / count

    def open(self) -> None:
        """A connection is."""
        self.of(OF_CONNECTIONS, 0, b"-").counted.of_connections.opened += 1

    def close(self) -> None:
        """One is closed."""
        self.of(OF_CONNECTIONS, 0, b"-").counted.of_connections.closed += 1
