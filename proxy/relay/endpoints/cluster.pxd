# Clusters and endpoints as the request path uses them; theory in cluster.pyx.
from libc.stdint cimport int32_t, int64_t, uint64_t

from proxy.policy.facts cimport OutlierRule, RetryRule
from proxy.relay.context.context cimport Context
from proxy.relay.context.tallies cimport Party
from proxy.relay.endpoints.breaker cimport Breaker, Member, Seat
from proxy.relay.endpoints.chooser cimport Chooser
from proxy.relay.endpoints.counted cimport Counted
from proxy.relay.endpoints.gate cimport Gate
from proxy.relay.endpoints.hash_key cimport HashKey
from proxy.relay.endpoints.rate_limits cimport RateLimits
from proxy.relay.endpoints.shadows cimport Shadows
from proxy.relay.endpoints.tokens cimport Tokens
from proxy.relay.endpoints.trunk cimport Connections, Trunks
from proxy.relay.routing.plan cimport Plan
from proxy.scoreboard.layout cimport Counters, EndpointRow
from proxy.scoreboard.scoreboard cimport Scoreboard
from proxy.wire.stream cimport Stream
from proxy.wire.address cimport Address
from proxy.wire.tls.origin cimport Origination

cdef enum:
    HBONE_PORT = 15008

cdef enum Protocol:              # what a cluster's port speaks
    HTTP, HTTP2, TCP, UNDECLARED

cdef enum Speaking:              # whether endpoints are sent HTTP/2
    NEVER, ALWAYS, AS_CLIENT

cdef class Endpoint(Member):
    cdef readonly Address address
    cdef readonly bint hbone             # reached through a tunnel ...
    cdef readonly Address hbone_address  # ... to this address, ...
    cdef readonly str identity           # ... whose certificate must say "ns/NS/sa/SA"; "": any of the mesh
    cdef Trunks tunnels                  # connections to that, shared with other endpoints of the same ip
    cdef Trunks http2                    # HTTP/2 connections to the endpoint itself
    cdef readonly bytes text             # "10.10.0.16:8080"
    cdef readonly str name               # the same
    cdef readonly str workload
    cdef readonly int slot
    cdef EndpointRow* row
    cdef int32_t* share                  # this worker's part of row.in_flight
    cdef list idle                       # pooled connections, the one used last at the end ...
    cdef list given                      # ... and those on which the event loop has not polled since
    cdef int64_t turn                    # how often it had when the last of them was given
    cdef Context context
    cdef Connections connections
    cdef Breaker breaker                 # its cluster's
    cdef int64_t unclean_until           # nothing is pooled before: bytes came that nobody had asked for
    cdef list profile                    # of its workload, as ipc.snapshot has it
    cdef Party party                     # the same for metrics; None: nothing was counted yet
    cdef Counters* counters              # its cluster's
    cdef readonly bint gone              # the snapshot no longer names it: nothing is pooled any more
    cdef readonly Origination origination   # TLS to it; None: there is none
    cdef int proxy_protocol              # its version, which connections begin with; 0: none
    cdef int64_t only_http1_until        # it was offered HTTP/2 by TLS and did not take it
    cdef Endpoint bare                   # the same without what its cluster's policy has connections begin with

    cdef int has_profile(self, list profile) except -1
    cdef bint described_by(self, dict entry) except -1

    cdef int secure(self, Origination origination, int proxy_protocol) except -1
    cdef object certificate(self)
    cdef bint only_http1(self) noexcept
    cdef int declines_http2(self, Stream stream) except -1
    cdef Endpoint without_policy(self, dict entry)
    cdef int keep_turn(self) except -1
    cdef Stream take(self)
    cdef int give(self, Stream stream) except -1
    cdef int distrust(self) except -1
    cdef int note(self, Stream stream, int event) except -1
    cdef int close_idle(self) except -1
    cdef int retire(self) except -1

cdef class Cluster:
    cdef readonly str name
    cdef readonly bytes envoy_name, authority
    cdef readonly int slot
    cdef readonly bytes host             # the Service's
    cdef readonly str closed             # why it answers 403, or ""
    cdef readonly double connect_seconds
    cdef RetryRule retry_rule
    cdef OutlierRule outlier_rule
    cdef readonly object outlier         # the policy, or None: then nothing is ejected or reported
    cdef bint outlier_on
    cdef bint rates_on                   # outcomes are counted for detection by rates, ...
    cdef bint rates_local                # ... also failures of local origin
    cdef readonly list endpoints
    cdef int count
    cdef readonly int protocol           # Protocol
    cdef int http2                       # Speaking
    cdef dict body                       # what it was made from
    cdef readonly Origination origination    # TLS to its endpoints; None: there is none
    cdef Chooser chooser
    cdef Gate gate                       # who gets in with a request, or None: everybody
    cdef Gate tcp_gate                   # ... with a connection that carries none
    cdef Shadows shadows, tcp_shadows    # policies that have no say in that, or None
    cdef Counted counted
    cdef Tokens tokens                   # what requests' tokens are verified by, or None
    cdef readonly Plan plan              # where its requests go instead, or None
    cdef list claims                     # of requests' tokens that access rules and routes are about, by number
    cdef bint by_path                    # what becomes of a request has to do with its path
    cdef RateLimits rate_limits          # how many requests get in, or None: all
    cdef dict route_limits               # ... of those for a rule of a route (RateLimits), by its name, or None
    cdef Breaker breaker                 # None: there is no endpoint
    cdef readonly bint limited           # connectionPool says something: of what there may be, or how long
    cdef int64_t timeout                 # ns for all of a request; 0: without end
    cdef HashKey hash_key                # what of a request is hashed, or None
    cdef dict positions                  # slot -> position in `endpoints`; made when first a request is tried again
    cdef int worker
    cdef bint by_address                 # it is one endpoint, asked for by its own address
    cdef Party party                     # its Service for metrics; None: nothing was counted yet
    cdef Counters* counters
    cdef Scoreboard scoreboard

    cdef int judge_by(self, dict outlier, int64_t abandoned_ms) except -1
    cdef int let_in_by(self, dict body) except -1
    cdef int secure(self, Origination origination) except -1
    cdef Endpoint pick(self, list tried, uint64_t key)
    cdef Endpoint pick_wanted(self, Endpoint wanted, uint64_t key)
    cdef int position_of(self, Endpoint endpoint) except -1
    cdef int mark(self, list tried, unsigned char mark) except -1
    cdef bint speaks_http2(self, bint client) noexcept
