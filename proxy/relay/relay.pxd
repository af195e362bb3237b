# A worker's relay; theory in relay.pyx.
from proxy.relay.context.context cimport Context
from proxy.relay.endpoints.addresses cimport Addresses
from proxy.relay.endpoints.cluster cimport Cluster, Endpoint
from proxy.relay.endpoints.tokens cimport TokenCache, Tokens
from proxy.relay.endpoints.trunk cimport Connections
from proxy.relay.exchange.http_exchange cimport HttpExchange
from proxy.relay.routes cimport Routes
from proxy.wire.http2.server cimport StreamServer
from proxy.wire.stream cimport RAISED, Stream
from proxy.wire.tls.origin cimport Origination
from proxy.wire.work cimport Work

cdef class Relay:
    cdef readonly Context context
    cdef Connections connections         # HTTP/2 to endpoints, shared by exchanges
    cdef readonly dict clusters          # name -> Cluster
    cdef dict endpoints                  # (cluster slot, endpoint slot) -> Endpoint
    cdef dict credentials                # by the names that clusters call them: OriginContext, or why there is none
    cdef dict keys                       # of issuers of tokens, by the names that rules call them
    cdef TokenCache verdicts             # on tokens
    cdef Addresses addresses             # None until a listener needs it
    cdef HttpExchange spare              # the first of the exchanges that nobody uses now
    cdef int spares

    cdef Origination origination_for(self, Cluster former, dict form)
    cdef Tokens tokens_for(self, Cluster former, Cluster fresh)
    cdef int forget(self, Endpoint endpoint) except -1
    cdef int serve_http(self, Stream client, Entrance entrance) except -1
    cdef HttpExchange exchange(self)
    cdef bint serve_request(self, Stream client, Py_ssize_t size, Entrance entrance) except -1
    cdef Py_ssize_t await_request(self, Stream client) except? RAISED

cdef class Requests(StreamServer):
    cdef Relay relay
    cdef Entrance entrance

cdef class Entrance:
    cdef Routes routes
    cdef Requests requests

cdef class Listener(Entrance):
    cdef readonly str name, address
    cdef readonly int fd
    cdef Relay relay
    cdef object watcher, handover, pause
    cdef readonly bint open

    cdef int serve(self, Connection connection) except -1

cdef class Connection(Work):
    cdef Listener listener
    cdef int fd
    cdef Stream client                  # None: not yet
