"""Clusters and endpoints as a worker's request path uses them: what a snapshot says, tied to rows of the scoreboard.

An endpoint keeps the connections to it that wait for the next request: TCP connections or tunnels. They stay registered
with the event loop, so one that its endpoint closes is dropped at once and the next request does not find it; what may have
come on one since it was given back, and the loop has not been told of yet, is looked for before it is used. HTTP/2 connections are not taken out to be used;
they are trunks (trunk.pyx).
"""

import logging

from libc.stdint cimport int64_t, uint64_t

from proxy.clock cimport monotonic_ns
from proxy.relay.endpoints.breaker cimport Breaker, Member, Seat
from proxy.relay.endpoints.balancing cimport chooser_for
from proxy.relay.endpoints.chooser cimport RoundRobin
from proxy.relay.endpoints.counted cimport Counted
from proxy.relay.endpoints.grouped cimport Grouped
from proxy.relay.endpoints.hash_key cimport HashKey
from proxy.relay.endpoints.shadows cimport Shadows
from proxy.relay.endpoints.trunk cimport CROWDED_NS, Connections, Trunks
from proxy.relay.routing.retry_rule cimport read_retry_rule
from proxy.scoreboard.memory cimport Memory
from proxy.wire.stream cimport DATA_WAITS, QUIET, Stream, polls

from proxy.observe.refusals import Refusals

refusals = Refusals(logging.getLogger("worker"), "endpoints")

cdef int64_t LATE_NS = 1_000_000_000        # bytes that come later than this behind an answer have to do with idling
cdef int64_t UNCLEAN_NS = 10_000_000_000
cdef int64_t DECLINED_NS = 60_000_000_000   # an endpoint that takes no HTTP/2 is not offered it again before

cdef dict PROTOCOLS = {"http": HTTP, "http2": HTTP2, "tcp": TCP, "undeclared": UNDECLARED}
cdef dict SPEAKING = {"never": NEVER, "always": ALWAYS, "as_client": AS_CLIENT}


cdef class Endpoint(Member):
    """One endpoint of one cluster in one worker, as `entry` of a snapshot says. `text` is its `ip:port`, `slot` its
    row."""

    def __init__(self, Context context, Connections connections, dict entry):
        cdef str ip = entry["ip"]
        self.context = context
        self.connections = connections
        self.address = Address(ip, entry["port"])
        self.text = self.address.text
        self.name = self.text.decode()
        self.workload = entry["workload"]
        self.slot = entry["slot"]
        self.hbone = entry["hbone"] and context.tunnels
        self.identity = entry["identity"]
        self.row = context.scoreboard.memory.endpoint(self.slot)
        self.share = context.scoreboard.memory.share_of(context.worker, self.slot)
        self.counters = context.scoreboard.memory.counters_of(context.worker, self.row.cluster)
        self.breaker = connections.breaker(context, self.row.cluster)
        self.idle, self.given = [], []
        if self.hbone:
            self.hbone_address = Address(ip, HBONE_PORT)
            self.tunnels = connections.place((ip, self.identity))
        self.http2 = connections.place(None)
        self.http2.breaker = self.breaker

    cdef int has_profile(self, list profile) except -1:
        if self.profile != profile:
            self.profile, self.party = profile, None
        return 0

    cdef bint described_by(self, dict entry) except -1:
        """Whether `entry` is still this endpoint, reached in the same way."""
        return self.hbone == (entry["hbone"] and self.context.tunnels) and self.identity == entry["identity"]

    cdef int secure(self, Origination origination, int proxy_protocol) except -1:
        """Connections begin with these from now on; those begun otherwise are not used again."""
        if self.origination is not origination or self.proxy_protocol != proxy_protocol:
            self.origination, self.proxy_protocol = origination, proxy_protocol
            self.only_http1_until = 0
            self.close_idle()
        return 0

    cdef object certificate(self):
        """What connections to the endpoint itself are made with: on those made with another one nothing new is asked."""
        if self.origination is not None:
            return self.origination
        return self.context.mesh if self.hbone else None

    cdef bint only_http1(self) noexcept:
        return self.only_http1_until != 0 and monotonic_ns() < self.only_http1_until

    cdef int declines_http2(self, Stream stream) except -1:
        """Its TLS, offered both on this connection, chose HTTP/1.1, or nothing: it is as good for that."""
        self.only_http1_until = monotonic_ns() + DECLINED_NS
        return self.give(stream)

    cdef Endpoint without_policy(self, dict entry):
        """The same, as it is reached under no cluster's policy."""
        if self.origination is None and self.proxy_protocol == 0:
            return self
        if self.bare is None:
            self.bare = Endpoint(self.context, self.connections, entry)
            self.bare.profile = self.profile
        return self.bare

    cdef Stream take(self):
        """A pooled connection, or None. The one used last: the others may grow old and go. On it nothing has come since:
        what has is no answer to what will be asked (RFC 9112 9.2). Of one that was here already when the event loop last
        polled the kernel has told whether it is so; to look costs as much as a twentieth of a request."""
        cdef Stream stream
        cdef int event
        cdef bint polled
        self.keep_turn()
        while self.idle or self.given:
            polled = len(self.idle) > 0
            stream = self.idle.pop() if polled else self.given.pop()
            self.counters.idle -= 1
            stream.disarm()
            stream.listener = None
            if not stream.closed and not (self.hbone and (stream.leaving() or stream.crowded(CROWDED_NS))):
                event = QUIET if polled and stream.was_quiet() else stream.look()
                if event == QUIET:
                    self.counters.reused += 1
                    return stream
                self.note(stream, event)
            stream.close()
        return None

    cdef int give(self, Stream stream) except -1:
        """Pools a connection on which everything asked for has been answered."""
        if stream.put_away():
            return 0
        if stream.start != stream.end:
            self.distrust()
        if self.gone or stream.closed or stream.start != stream.end or self.hbone and stream.leaving():
            return stream.close()
        if stream.origin is not self.origination or self.proxy_protocol:    # ... which names the client
            return stream.close()
        if self.unclean_until and monotonic_ns() < self.unclean_until:
            return stream.close()
        stream.pinned = 0
        stream.start = stream.end = 0
        stream.release()
        if self.breaker.limited and self.breaker.wants(self, stream):
            return 0
        stream.listener = self
        stream.arm(self.breaker.lifetimes.idle)
        self.keep_turn()
        self.given.append(stream)
        self.counters.idle += 1
        return stream.watch()

    cdef int keep_turn(self) except -1:
        """What was given before the event loop's last poll is among the idle."""
        cdef int64_t now = polls()
        if now != self.turn:
            self.turn = now
            if self.given:
                self.idle += self.given
                self.given.clear()
        return 0

    cdef int idle_event(self, Stream stream, int event) except -1:
        """Closed, idle too long, or bytes nobody asked for: in any case the connection is of no more use."""
        for pooled in (self.idle, self.given):
            if stream in pooled:
                pooled.remove(stream)
                self.counters.idle -= 1
        self.note(stream, event)
        return stream.close()

    cdef int note(self, Stream stream, int event) except -1:
        """What a pooled connection had to say. A server that tells a client that it waits no longer does so late."""
        cdef int64_t limit = self.breaker.lifetimes.idle.duration
        cdef int64_t given = stream.deadline - limit if limit else monotonic_ns()
        if event == DATA_WAITS and monotonic_ns() - given < LATE_NS:
            return self.distrust()
        return 0

    cdef int distrust(self) except -1:
        """The endpoint says more than it is asked for. What comes behind its answer and before the next request can be
        seen (`look`); what comes a little later cannot be told from the answer to that. So for a while there is one
        connection for each request."""
        cdef int64_t now = monotonic_ns()
        if now >= self.unclean_until:
            refusals.tell("no connection used twice to", self.text, None, "bytes nobody asked for, behind an answer")
        self.unclean_until = now + UNCLEAN_NS
        return self.close_idle()

    cdef Seat give_up_one(self):
        cdef Seat seat
        cdef Stream stream
        if not self.idle and not self.given:
            self.http2.end_idle()
            return None
        stream = (self.idle or self.given).pop(0)
        self.counters.idle -= 1
        seat, stream.permit = <Seat>stream.permit, None
        stream.close()
        return seat

    cdef bint has_room(self):
        return self.http2.take(self.certificate(), 0) is not None

    cdef int drain_one(self) except -1:
        return self.http2.drain_one()

    cdef int end_drained(self) except -1:
        return self.http2.end_drained()

    cdef int end_idle(self, int64_t begun_before) except -1:
        cdef Stream stream
        cdef Seat seat
        for pooled in (self.idle, self.given):
            for stream in list(pooled):
                seat = <Seat>stream.permit
                if seat is not None and seat.begun < begun_before:
                    pooled.remove(stream)
                    self.counters.idle -= 1
                    stream.close()
        return 0

    cdef int close_idle(self) except -1:
        cdef Stream stream
        while self.idle or self.given:
            stream = (self.idle or self.given).pop()
            self.counters.idle -= 1
            stream.close()
        return 0

    cdef int retire(self) except -1:
        """The snapshot no longer names this endpoint; what is under way on it goes on."""
        self.gone = True
        self.close_idle()
        if self.bare is not None:
            self.bare.retire()
        if self.hbone:
            self.connections.leave(self.tunnels)
        return self.connections.leave(self.http2)


cdef class Cluster:
    """One cluster in one worker, made from its part of a snapshot (proxy/ipc/snapshot.py says what is in it)."""

    def __init__(self, Scoreboard scoreboard, int worker, dict body, list endpoints):
        self.body = body
        self.worker = worker
        self.name = body["name"]
        self.protocol = PROTOCOLS[body["protocol"]]
        self.http2 = SPEAKING[body["http2"]]
        self.envoy_name = body["envoy_name"].encode()
        self.authority = body["authority"].encode()
        self.host = self.authority.rpartition(b":")[0]
        self.slot = body["slot"]
        self.closed = body["closed"]
        self.connect_seconds = body["connect_timeout_ms"] / 1000
        read_retry_rule(&self.retry_rule, body["retry"])
        self.timeout = body["retry"]["timeout_ms"] * 1_000_000
        self.judge_by(body["outlier"], body["abandoned_ms"])
        self.endpoints = endpoints
        self.count = len(endpoints)
        self.scoreboard = scoreboard
        cdef list weights = [entry["weight"] for entry in body["endpoints"]]
        self.chooser = chooser_for(scoreboard, endpoints, weights, self.slot, self.outlier_on, body["balance"])
        self.hash_key = HashKey(body["balance"]["hash"]) if "hash" in body["balance"] else None
        self.let_in_by(body)
        if self.outlier_on:
            self.chooser.panic_below(self.outlier["min_health_percent"])
        self.counters = scoreboard.memory.counters_of(worker, self.slot)
        if isinstance(self.chooser, Grouped):
            (<Grouped>self.chooser).picks = self.counters.grouped
        self.breaker = (<Endpoint>endpoints[0]).breaker if endpoints else None

    cdef int judge_by(self, dict outlier, int64_t abandoned_ms) except -1:
        """What makes an attempt a failure of its endpoint."""
        self.outlier_rule.abandoned = abandoned_ms * 1_000_000
        self.outlier, self.outlier_on = outlier, outlier is not None
        if outlier is None:
            return 0
        for status in outlier["http_error_codes"]:
            self.outlier_rule.listed = True
            self.outlier_rule.failing[<int>status - 100] = 1
        self.rates_on = bool(outlier["success_rate"] or outlier["failure_percentage"])
        self.rates_local = not outlier["split_local_origin"] and outlier["local_origin_quorum"] <= 1
        return 0

    cdef int let_in_by(self, dict body) except -1:
        """Who gets in, by which routes, and how many."""
        cdef Memory memory = self.scoreboard.memory
        self.gate = self.gate_for(body.get("access"))
        self.tcp_gate = self.gate_for(body.get("access_tcp"))
        self.claims = self.gate.claims if self.gate is not None else []
        self.counted = Counted(self.scoreboard, self.worker, self.name)
        if "shadows" in body:
            self.shadows = Shadows(body["shadows"]["http"], self.port(), self.claims)
            self.tcp_shadows = Shadows(body["shadows"]["tcp"], self.port(), [])
            self.claims = self.shadows.claims
        if "routing" in body:
            self.plan = Plan(body["routing"], self.claims)
            self.claims = self.plan.claims
        self.rate_limits = RateLimits(memory, body["rate_limits"]) if body.get("rate_limits") else None
        if "route_limits" in body:
            self.route_limits = {
                rule.encode(): RateLimits(memory, limits) for rule, limits in body["route_limits"].items()}
        self.by_path = self.plan is not None or self.gate is not None and self.gate.by_path \
            or self.rate_limits is not None and self.rate_limits.by_path
        return 0

    def keep_limits(self) -> None:
        """Those of `connectionPool` and `retryBudget`, from now on."""
        if self.breaker is not None:
            self.breaker.limit(self.body["pool"], self.endpoints)
            self.limited = self.breaker.limited

    def drop_limits(self) -> None:
        """The snapshot has no such cluster any more."""
        if self.breaker is not None:
            self.breaker.limit({}, [])

    def gate_for(self, form: dict | None) -> Gate | None:
        """For the port that was dialled; None: everybody gets in."""
        return None if form is None else Gate(form, self.port())

    def port(self) -> int:
        """The Service's."""
        return int(self.authority.rpartition(b":")[2])

    def alone(self, Endpoint endpoint) -> Cluster:
        """A cluster of this endpoint alone, as it is when asked for by its own address: under no service's policy."""
        body = self.body | {"envoy_name": "encap", "authority": endpoint.name, "abandoned_ms": 0, "outlier": None}
        body["balance"], body["pool"] = {"algorithm": "round_robin"}, {}  # of one, in no group and with no warm-up
        for name in ("routing", "route_limits", "tunnel"):
            body.pop(name, None)
        body["endpoints"] = [entry for entry in self.body["endpoints"] if entry["slot"] == endpoint.slot]
        endpoint = endpoint.without_policy(body["endpoints"][0])
        cdef Cluster cluster = Cluster(self.scoreboard, self.worker, body, [endpoint])
        cluster.by_address, cluster.tokens = True, self.tokens
        cluster.gate, cluster.tcp_gate = self.gate, self.tcp_gate  # whose port is the Service's, as rules name it
        (<RoundRobin>cluster.chooser).go_alone()
        return cluster

    cdef int secure(self, Origination origination) except -1:
        """Connections to its endpoints begin with this from now on."""
        cdef Endpoint endpoint
        self.origination = origination
        for endpoint in self.endpoints:
            endpoint.secure(origination, self.body["proxy_protocol"])
        return 0

    cdef Endpoint pick(self, list tried, uint64_t key):
        """The endpoint that gets the request's next attempt, none of those `tried` (None: nothing was); None if there
        is no other. `key` is the request's for consistent hashing, 0 if it has none."""
        cdef int position
        if tried is not None:
            self.mark(tried, 1)
        position = self.chooser.pick(key)
        if tried is not None:
            self.mark(tried, 0)
        return None if position < 0 else <Endpoint>self.endpoints[position]

    cdef Endpoint pick_wanted(self, Endpoint wanted, uint64_t key):
        """The endpoint that gets the first attempt of a request that had better go to this one of the cluster's."""
        return wanted if self.chooser.has(self.position_of(wanted)) else self.pick(None, key)

    cdef int mark(self, list tried, unsigned char mark) except -1:
        cdef Endpoint endpoint
        for endpoint in tried:
            self.chooser.mark(self.position_of(endpoint), mark)
        return 0

    cdef int position_of(self, Endpoint endpoint) except -1:
        cdef Endpoint each
        if self.positions is None:
            self.positions = {each.slot: position for position, each in enumerate(self.endpoints)}
        return self.positions[endpoint.slot]

    cdef bint speaks_http2(self, bint client) noexcept:
        """Whether its endpoints are sent HTTP/2, if the client speaks it, or does not."""
        return self.http2 == ALWAYS or self.http2 == AS_CLIENT and client
