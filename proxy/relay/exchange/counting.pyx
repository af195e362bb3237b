"""What is counted of an exchange for Istio's metrics: the numbers, and under what. One call when a request is over, one
when a connection begins; where there is no Tallies, nothing is counted."""

from proxy.clock cimport coarse_ns
from proxy.relay.context.tallies cimport AS_GRPC, AS_HTTP, AS_TCP, NO_FLAGS, Party, Tallies
from proxy.relay.endpoints.cluster cimport Endpoint
from proxy.relay.endpoints.counted cimport count_of_route
from proxy.relay.exchange.request cimport Request
from proxy.scoreboard.buckets cimport bound_of
from proxy.scoreboard.layout cimport OF_CONNECTIONS, OF_MESSAGES, OF_REQUESTS, RequestTally, Tally

cdef int64_t OPEN_NS = 5_000_000_000     # so often messages of streams that are open are counted (Envoy's grpc_stats)

cdef set open_messages = set()          # Messages of exchanges that are under way
cdef int64_t open_counted = 0           # when they were


cdef class Messages:
    """`count` adds those that have come since it was asked last. A request that is sent once more has its own again."""

    def __init__(self, Exchange exchange, Answer answer):
        self.exchange, self.answer = exchange, answer

    cdef int begin(self) except -1:
        self.requests = self.responses = 0
        open_messages.add(self)
        return 0

    cdef int count(self, Party source, Party destination, Party service, bytes flags, int64_t now) except -1:
        cdef int64_t requests = self.exchange.request.body.messages
        cdef int64_t responses = self.answer.attempt.body.messages
        cdef Tally* tally = self.exchange.context.tallies.of(
            OF_MESSAGES, AS_GRPC, source, destination, service, 0, -1, flags)
        tally.touched = now
        tally.counted.of_messages.requests += max(requests - self.requests, 0)
        tally.counted.of_messages.responses += max(responses - self.responses, 0)
        self.requests, self.responses = max(requests, self.requests), max(responses, self.responses)
        return 0

    cdef int count_open(self, int64_t now) except -1:
        """Once it is answered, so that it is settled by whom."""
        cdef Exchange exchange = self.exchange
        cdef Tallies tallies = exchange.context.tallies
        if not self.answer.begun:
            return 0
        return self.count(tallies.source(exchange.request.client), destination_of(tallies, exchange.attempt.endpoint),
                          service_of(tallies, exchange.cluster), flags_of(exchange), now)


cdef int count_open_messages() except -1:
    """Of streams that are open, every five seconds; to be called more often."""
    global open_counted
    cdef int64_t now = coarse_ns()
    cdef Messages each
    if now - open_counted < OPEN_NS:
        return 0
    open_counted = now
    for each in list(open_messages):
        each.count_open(now)
    return 0


cdef int count_request(Exchange exchange, Answer answer, Messages messages, int64_t duration_ms) except -1:
    """A request is over, and its answer, whatever there was of it. `messages`: those of gRPC, else None."""
    cdef Tallies tallies = exchange.context.tallies
    cdef Request request = exchange.request
    cdef bint grpc = request.parsed and request.head.grpc
    cdef Party source, destination, service
    cdef bytes flags
    cdef Tally* tally
    if tallies is None:
        return 0
    source = tallies.source(request.client)
    destination = destination_of(tallies, exchange.attempt.endpoint)
    service = service_of(tallies, exchange.cluster)
    flags = flags_of(exchange)
    tally = tallies.of(OF_REQUESTS, AS_GRPC if grpc else AS_HTTP, source, destination, service, answer.status,
                       answer.grpc_status if grpc else -1, flags)
    tally.touched = request.started + duration_ms * 1_000_000
    add(&tally.counted.of_requests, duration_ms, request.received(), request.sent())
    if messages is not None:
        open_messages.discard(messages)
        messages.count(source, destination, service, flags, request.started + duration_ms * 1_000_000)
    return 0


cdef int count_route(Context context, Rule rule, int status) except -1:
    """A request is over that was for that rule."""
    cdef int code_class = status // 100 if status < 600 else 5
    if rule.counted[code_class] == NULL:
        rule.counted[code_class] = count_of_route(context.scoreboard, context.worker, rule.name, code_class)
    rule.counted[code_class][0] += 1
    return 0


cdef inline void add(RequestTally* tally, int64_t duration_ms, int64_t received, int64_t sent) noexcept:
    tally.duration_ms += duration_ms
    tally.durations[bound_of(duration_ms)] += 1
    tally.received += received
    tally.received_sizes[bound_of(received)] += 1
    tally.sent += sent
    tally.sent_sizes[bound_of(sent)] += 1


cdef ConnectionTally* count_connection(Exchange exchange) except? NULL:
    """A connection is open, or cannot be carried anywhere. It is for the caller to count bytes there, and the end: as
    long as that has not come, the place is this series'. NULL: nothing is counted."""
    cdef Tallies tallies = exchange.context.tallies
    cdef Tally* tally
    if tallies is None:
        return NULL
    tally = tallies.of(
        OF_CONNECTIONS, AS_TCP, tallies.source(exchange.request.client),
        destination_of(tallies, exchange.attempt.endpoint), service_of(tallies, exchange.cluster), 0, -1,
        flags_of(exchange))
    tally.touched = coarse_ns()
    tally.counted.of_connections.opened += 1
    return &tally.counted.of_connections


cdef int count_refused(Context context, Stream client, Cluster cluster, object fault) except -1:
    """A tunnel that was asked for and not granted."""
    cdef Tallies tallies = context.tallies
    cdef Tally* tally
    if tallies is None:
        return 0
    tally = tallies.of(OF_REQUESTS, AS_HTTP, tallies.source(client), tallies.no_destination,
                       service_of(tallies, cluster), fault.status, -1, fault.flags)
    tally.touched = coarse_ns()
    add(&tally.counted.of_requests, 0, client.frames_in, client.frames_out)
    return 0


cdef bytes flags_of(Exchange exchange):
    if exchange.flags is not None:
        return exchange.flags
    return NO_FLAGS if exchange.fault is None else <bytes>exchange.fault.flags


cdef inline Party destination_of(Tallies tallies, Endpoint endpoint):
    if endpoint is None:
        return tallies.no_destination
    if endpoint.party is None:
        endpoint.party = tallies.destination(endpoint.profile, endpoint.identity)
    return endpoint.party


cdef inline Party service_of(Tallies tallies, Cluster cluster):
    """Of what is asked for by an endpoint's own address there is none."""
    if cluster is None or cluster.by_address:
        return tallies.no_service
    if cluster.party is None:
        cluster.party = tallies.service(cluster.name, cluster.host)
    return cluster.party
