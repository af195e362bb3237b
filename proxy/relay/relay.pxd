# A worker's relay; theory in relay.pyx.
from proxy.relay.context.context cimport Context
from proxy.relay.endpoints.addresses cimport Addresses
from proxy.relay.endpoints.cluster cimport Cluster, Endpoint
from proxy.relay.endpoints.tokens cimport TokenCache, Tokens
from proxy.relay.endpoints.trunk cimport Connections
from proxy.relay.exchange.http_exchange cimport HttpExchange
from proxy.relay.resting cimport Served
from proxy.relay.routes cimport Routes
from proxy.wire.http2.server cimport StreamServer
from proxy.wire.stream cimport RAISED, Stream
from proxy.wire.tls.origin cimport Origination

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
    cdef bint serve_http(self, Stream client, Entrance entrance, bint rested) except -1
    cdef HttpExchange exchange(self)
    cdef bint serve_request(self, Stream client, Py_ssize_t size, Entrance entrance) except -1
    cdef Py_ssize_t await_request(self, Stream client, bint rested) except? RAISED
    cdef Py_ssize_t await_byte(self, Stream client, bint rested) except? RAISED

cdef class Requests(StreamServer):
    cdef Relay relay
    cdef Entrance entrance

cdef class Entrance:
    cdef Routes routes
    cdef Requests requests

cdef class Listener(Entrance):
    cdef readonly str name, address
    cdef readonly int fd
    cdef bytes local                     # of all connections; None: each has its own
    cdef Relay relay
    cdef object watcher, handover, pause
    cdef readonly bint open

    cdef int begin(self, int fd, bytes peer) except -1
    cdef bint serve(self, Connection connection) except -1

cdef class Connection(Served):
    cdef Listener listener
    cdef int fd
    cdef bytes peer
    cdef Stream client                  # None: not yet
