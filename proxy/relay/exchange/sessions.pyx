"""Sessions of a route's rule: a request that brings one along goes to its endpoint, and the answer gives the client one
where there is need (proxy/policy/sessions.py has the theory and the values).

An endpoint that is out, or gone, is another request's chance: the client is given a session at the one that has answered
in its place. Of the rule's backends only those count that get requests at all.
"""

from libc.stdint cimport int64_t

from proxy.relay.context.date cimport wall_ns
from proxy.relay.endpoints.cluster cimport Cluster, Endpoint
from proxy.relay.exchange.request cimport Request
from proxy.relay.routing.rule cimport Rule
from proxy.wire.http.head cimport Field, Span
from proxy.wire.http.names cimport is_called

from proxy.policy import sessions as policy


cdef class Table:
    """What stands for the endpoints of one cluster, as they are now, in sessions of one rule."""

    cdef Cluster cluster
    cdef dict endpoints                 # by what stands for them ...
    cdef dict tokens                    # ... and that, by their slots

    def __init__(self, bytes rule, Cluster cluster):
        cdef Endpoint endpoint
        self.cluster = cluster
        self.tokens = {endpoint.slot: policy.token_of(rule, cluster.name, endpoint.text) for endpoint in cluster.endpoints}
        self.endpoints = {self.tokens[endpoint.slot]: endpoint for endpoint in cluster.endpoints}


cdef Table table_of(Rule rule, Cluster cluster):
    cdef Table table = rule.tables.get(cluster.name)
    if table is None or table.cluster is not cluster:
        table = rule.tables[cluster.name] = Table(rule.name, cluster)
    return table


cdef Backend backend_of_session(Routed exchange, dict clusters):
    """The backend that the request's session is at, with `session` and, as far as it is there, `wanted`; None: it is for
    the weights to say."""
    cdef Rule rule = exchange.rule
    cdef Backend backend
    cdef Cluster cluster
    cdef Endpoint endpoint
    cdef int64_t now = wall_ns() // 1_000_000_000
    for value in values_of(exchange.request, rule.sessions):
        session = policy.read(rule.sessions, value, now)
        if session is None:
            continue
        for backend in rule.backends:
            cluster = clusters.get(backend.cluster) if backend.redirect is None else None
            endpoint = None if cluster is None else table_of(rule, cluster).endpoints.get(session.token)
            if endpoint is not None:
                exchange.session, exchange.wanted = session, endpoint
                return backend
    return None


cdef list values_of(Request request, object sessions):
    """What may be a session: all cookies of the name, or all lines of the header."""
    cdef const char* text = request.client.buffer
    cdef bytes name = sessions.name if sessions.header else b"cookie"
    cdef Field* field
    cdef list found = []
    cdef int index
    for index in range(request.head.count):
        field = &request.head.fields[index]
        if is_called(text, field, name, len(name)):
            line = (text + field.value)[:field.value_length]
            found += [line] if sessions.header else policy.cookies(line, sessions.name)
    return found


cdef int keep_session(Routed exchange) except -1:
    """An endpoint has answered: the client is given its session, if it has not got it."""
    cdef Rule rule = exchange.rule
    cdef Request request = exchange.request
    cdef Span* path = &request.head.path
    cdef int64_t now = wall_ns() // 1_000_000_000
    token = table_of(rule, exchange.cluster).tokens[exchange.attempt.endpoint.slot]
    session = policy.given(rule.sessions, exchange.session, token, now)
    if session is not None:
        asked = (request.client.buffer + path.at)[:path.length]
        request.told = (request.told or b"") + policy.field(rule.sessions, session, asked, now)
    return 0
