"""A worker's relay: what it serves (the snapshot), and the loop of requests on a client connection.

A snapshot is applied between two events. Exchanges that are under way keep the cluster and endpoint objects they began
with; endpoints that stay keep their pooled connections.
"""

import gevent
from libc.errno cimport EAGAIN, ECONNABORTED, EINTR, errno

from proxy.relay.context.timeouts cimport Timeouts
from proxy.relay.endpoints.addresses cimport Addresses
from proxy.relay.endpoints.cluster cimport Cluster, Endpoint
from proxy.relay.endpoints.trunk cimport Connections
from proxy.relay.exchange.counting cimport count_open_messages
from proxy.relay.exchange.http_exchange cimport HttpExchange
from proxy.relay.resting cimport tidy
from proxy.relay.routes cimport Routes
from proxy.wire.http.head cimport INCOMPLETE, TOO_LARGE, Head
from proxy.wire.http2.preface cimport is_preface
from proxy.wire.http2.server cimport serve_http2
from proxy.wire.address cimport address_text, sockaddr_storage
from proxy.wire.opening cimport accept_one, common_local, peer_of, take_over
from proxy.wire.stream cimport END, RAISED, TIMED_OUT, Deadlines, get_hub
from proxy.wire.tcp cimport TcpStream
from proxy.wire.work cimport spawn

# Connections taken in one go before others get their turn.
cdef enum:
    ACCEPTS_A_TURN = 64
cdef int SPARE_EXCHANGES = 256
cdef enum:
    RESTS = -10                 # beyond what Io and Result say: the client asks for nothing
# How long accepting rests when descriptors or memory have run out.
cdef double PAUSE_SECONDS = 0.1
cdef Head scanner = Head()


cdef class Relay:
    """Everything a worker serves, and the way a connection is served."""

    def __init__(self, Context context):
        self.context = context
        self.connections = Connections(context.timeouts.endpoint_idle_timeout.duration)
        self.clusters = {}
        self.endpoints = {}
        self.credentials = {}
        self.keys, self.verdicts = {}, TokenCache()
        if context.tallies is not None:
            context.tallies.find_by_address(self.meet_all)

    def tick(self) -> None:
        """Ends the waits that are over; to be called a few times a second."""
        self.context.timeouts.tick()
        tidy()
        self.connections.tick()
        self.context.unread.look(self.context.row)
        self.context.row.log_lines_dropped = self.context.log.dropped
        self.context.row.tokens_taken, self.context.row.tokens_refused = self.verdicts.taken, self.verdicts.refused
        self.context.row.keys_missed = self.verdicts.missed
        self.context.scoreboard.workers.turn(self.context.worker)
        count_open_messages()

    def make_room(self) -> None:
        """Another worker has somebody who waits for a connection, or has left room for somebody who waits here."""
        self.connections.make_room()

    # -- the snapshot -------------------------------------------------------------------------------------------------

    def apply(self, bint full, list clusters, list removed) -> None:
        """Takes over the clusters that changed and forgets those removed (`full`: all that are not named)."""
        cdef dict body
        for name in self.clusters.keys() - {body["name"] for body in clusters} if full else removed:
            self.replace(name, None)
        for body in clusters:
            self.replace(body["name"], self.make_cluster(body))

    def make_cluster(self, dict body) -> Cluster:
        cdef list endpoints = []
        cdef Endpoint endpoint
        cdef Cluster cluster
        for entry in body["endpoints"]:
            key = (body["slot"], entry["slot"])
            endpoint = self.endpoints.get(key)
            if endpoint is not None and not endpoint.described_by(entry):
                self.forget(endpoint)
                endpoint = None
            fresh = endpoint is None
            if fresh:
                endpoint = self.endpoints[key] = Endpoint(self.context, self.connections, entry)
            endpoint.has_profile(body["profiles"][entry["profile"]] if entry["profile"] >= 0 else [])
            if self.context.tallies is not None:
                self.context.tallies.meet(endpoint.text, endpoint.profile, endpoint.identity, fresh)
            endpoints.append(endpoint)
        cluster = Cluster(self.context.scoreboard, self.context.worker, body, endpoints)
        cluster.secure(self.origination_for(self.clusters.get(body["name"]), body["origination"]))
        cluster.tokens = self.tokens_for(self.clusters.get(body["name"]), cluster)
        cluster.keep_limits()
        return cluster

    cdef Tokens tokens_for(self, Cluster former, Cluster fresh):
        """What the tokens of its requests are verified by; the former one's, if it is the same."""
        cdef list form = fresh.body.get("tokens"), asked = fresh.claims
        cdef Tokens made
        if form is None:
            return None
        if former is not None and former.tokens is not None and former.tokens.same(form, asked):
            return former.tokens
        made = Tokens(form, asked, self.verdicts)
        made.take_keys(self.keys)
        return made

    def verify(self, dict keys) -> None:
        """What tokens are verified with from now on, by the names that rules call it."""
        cdef Cluster cluster
        self.keys = keys
        self.verdicts.clear()
        for cluster in self.clusters.values():
            if cluster.tokens is not None:
                cluster.tokens.take_keys(keys)

    def originate(self, dict credentials) -> None:
        """What TLS to endpoints is made with from now on, by the names that clusters call it: an OriginContext, or why
        there is none. Those that are the same as before are the same objects."""
        cdef Cluster cluster
        self.credentials = credentials
        for cluster in self.clusters.values():
            cluster.secure(self.origination_for(cluster, cluster.body["origination"]))

    cdef Origination origination_for(self, Cluster former, dict form):
        """What a cluster's connections begin with; the former one's, if it is the same."""
        if form is None:
            return None
        found = self.credentials.get(form["credential"], "its credentials are unknown")
        if former is not None and former.origination is not None and former.origination.same(form, found):
            return former.origination
        return Origination(form, found)

    def replace(self, str name, Cluster fresh) -> None:
        """`fresh` (None: nothing) from now on. Endpoints that it does not have give up their pooled connections."""
        cdef Cluster former = self.clusters.pop(name, None)
        cdef Endpoint endpoint
        cdef set used = set()
        if fresh is not None:
            self.clusters[name] = fresh
            used.update([(fresh.slot, endpoint.slot) for endpoint in fresh.endpoints])
        for endpoint in former.endpoints if former is not None else ():
            if (former.slot, endpoint.slot) not in used:
                del self.endpoints[former.slot, endpoint.slot]
                self.forget(endpoint)
        if former is not None and (fresh is None or fresh.slot != former.slot):
            former.drop_limits()
        if self.addresses is not None:
            if former is not None:
                self.addresses.drop(former)
            if fresh is not None:
                self.addresses.add(fresh)

    cdef int forget(self, Endpoint endpoint) except -1:
        if self.context.tallies is not None:
            self.context.tallies.part(endpoint.text)
        return endpoint.retire()

    def meet_all(self) -> None:
        """For metrics: whose addresses the endpoints have."""
        cdef Endpoint endpoint
        for endpoint in self.endpoints.values():
            self.context.tallies.meet(endpoint.text, endpoint.profile, endpoint.identity, True)

    def trust(self, str trust_domain) -> None:
        """The identities of endpoints are of this trust domain."""
        cdef Endpoint endpoint
        if self.context.tallies is not None and self.context.tallies.trust_domain != trust_domain:
            self.context.tallies.trust(trust_domain)
            for endpoint in self.endpoints.values():
                endpoint.party = None

    def routes(self, bint by_address) -> Routes:
        """A listener's, still empty. `by_address`: endpoints may be asked for by their own."""
        cdef Cluster cluster
        if by_address and self.addresses is None:
            self.addresses = Addresses()
            for cluster in self.clusters.values():
                self.addresses.add(cluster)
        return Routes(self.clusters, self.addresses if by_address else None)

    # -- connections --------------------------------------------------------------------------------------------------

    cdef bint serve_http(self, Stream client, Entrance entrance, bint rested) except -1:
        """Serves HTTP on a byte stream to its end, whatever the stream is made of: HTTP/2 if it begins like that. Whoever
        calls closes it. True: it is not over, but may rest; `rested`: it did, and something came."""
        cdef Py_ssize_t size = self.await_request(client, rested)
        if client.written == 0 and is_preface(client.buffer + client.start, size):
            serve_http2(client, entrance.requests)
            return False
        while size != RESTS and self.serve_request(client, size, entrance):
            size = self.await_request(client, False)
        return size == RESTS

    cdef bint serve_request(self, Stream client, Py_ssize_t size, Entrance entrance) except -1:
        """One request, `size` being what await_request found; True if another may follow on the connection."""
        cdef HttpExchange exchange
        if size == END:
            return False
        exchange = self.exchange()
        if size > 0:
            again = exchange.run(client, size, entrance.routes)
        else:
            again = False
            exchange.refuse(client, size)
        if self.spares < SPARE_EXCHANGES:
            exchange.following, self.spare = self.spare, exchange
            self.spares += 1
        if again and client.start != client.end:    # pipelined: if nothing was waited for, others have not had a turn
            gevent.sleep(0)
        return again

    cdef HttpExchange exchange(self):
        """One that nobody uses."""
        cdef HttpExchange found = self.spare
        if found is None:
            return HttpExchange(self.context)
        self.spare, found.following = found.following, None
        self.spares -= 1
        return found

    cdef Py_ssize_t await_request(self, Stream client, bint rested) except? RAISED:
        """The size of the next request head, END if none will come, TIMED_OUT if it comes too slowly, a Result, or RESTS.

        Between requests a connection holds no buffer, and may be silent for idle_timeout; once the first byte is here
        the whole head must follow within request_headers_timeout.
        """
        cdef Py_ssize_t size, got, scanned = 0
        if client.head is not None:             # it came in fields, and is whole
            return TOO_LARGE if client.head.result == TOO_LARGE else client.head.size
        if client.start == client.end:
            got = self.await_byte(client, rested)
            if got <= 0:
                return RESTS if got == RESTS else END
        size = scanner.scan(client.buffer + client.start, client.end - client.start, &scanned)
        if size != INCOMPLETE:
            return size
        client.arm(self.context.timeouts.request_headers_timeout)
        while size == INCOMPLETE:
            got = client.fill()
            if got <= 0:
                client.disarm()
                return TIMED_OUT if got == TIMED_OUT else END
            size = scanner.scan(client.buffer + client.start, client.end - client.start, &scanned)
        client.disarm()
        return size

    cdef Py_ssize_t await_byte(self, Stream client, bint rested) except? RAISED:
        """The first of a request: as Stream.fill, or RESTS."""
        cdef Timeouts timeouts = self.context.timeouts
        cdef Deadlines patience = timeouts.idle_timeout if client.http2 else timeouts.before_rest
        cdef Py_ssize_t got
        if self.context.drain.ending and not client.http2 and not rested:
            return END
        client.release()
        client.arm(patience)
        got = client.fill()
        client.disarm()
        if got == TIMED_OUT and not client.alive():
            return client.fill()            # a request came together with the end of our patience
        if got == TIMED_OUT and patience is not timeouts.idle_timeout and not self.context.drain.ending:
            return RESTS
        return got


cdef class Requests(StreamServer):
    """The requests on the HTTP/2 connections that came in one way."""

    def __init__(self, Relay relay, Entrance entrance):
        cdef Timeouts timeouts = relay.context.timeouts
        self.relay, self.entrance = relay, entrance
        self.patience = timeouts.ping_interval
        self.stall_ns = timeouts.stream_idle_timeout.duration
        self.idle_ns = timeouts.idle_timeout.duration
        self.sessions = relay.context.drain.sessions

    cdef int serve_stream(self, Stream stream) except -1:
        return self.relay.serve_request(stream, self.relay.await_request(stream, False), self.entrance)

    cdef bint leaving(self) noexcept:
        return self.relay.context.drain.begun


cdef class Entrance:
    """What requests that came in one way go by: a table of routes, which is empty at first."""

    def __init__(self, Relay relay):
        self.routes = Routes()
        self.requests = Requests(relay, self)


cdef class Listener(Entrance):
    """One listening socket in one worker. `handover(fd, slot, address)` gives a connection to another worker."""

    def __init__(self, Relay relay, str name, str address, int fd, object handover):
        Entrance.__init__(self, relay)
        self.relay = relay
        self.name = name
        self.address = address
        self.fd, self.local = fd, common_local(fd)
        self.handover = handover
        self.open = False

    def lead(self, Routes routes) -> None:
        """Requests go by these from now on, also those of connections that there are."""
        self.routes = routes

    def start(self) -> None:
        """Begins to accept."""
        if not self.open:
            self.open = True
            loop = get_hub().loop       # after what else has come: by then a request is mostly there with its connection
            self.watcher = loop.io(self.fd, 1, priority=loop.MINPRI)
            self.watcher.start(self.accept)

    def stop(self) -> None:
        """Takes what the kernel has already accepted for us, and nothing more."""
        if self.open:
            self.open = False
            while self.accept():
                pass
            self.watcher.stop()
            self.watcher.close()
            self.watcher = None

    def accept(self) -> bool:
        """Accepts what waits; each connection goes to the worker with the fewest. True: there may be more."""
        cdef int fd, slot
        cdef int worker = self.relay.context.worker
        cdef sockaddr_storage peer
        for _ in range(ACCEPTS_A_TURN):
            fd = accept_one(self.fd, &peer)
            if fd < 0:
                if errno == EINTR or errno == ECONNABORTED:
                    continue
                if errno != EAGAIN:
                    self.rest()
                return False
            slot = self.relay.context.scoreboard.workers.assign_connection(worker)
            if slot == worker or not self.handover(fd, slot, self.address):
                self.begin(fd, address_text(&peer))
        return True

    def take(self, int fd) -> None:
        """As `begin`, of one that another worker has accepted."""
        self.begin(fd, peer_of(fd))

    cdef int begin(self, int fd, bytes peer) except -1:
        """Serves a connection that is counted as this worker's; the descriptor is ours from now on."""
        cdef Connection connection = Connection()
        connection.listener, connection.fd, connection.peer = self, fd, peer
        return spawn(connection)

    cdef bint serve(self, Connection connection) except -1:
        """As Served.serve."""
        cdef TcpStream client = TcpStream()
        if connection.client is not None:
            return self.relay.serve_http(connection.client, self, True)
        take_over(client, connection.fd, self.local, connection.peer, self.relay.context.timeouts.stream_idle_seconds)
        connection.client = client
        return self.relay.serve_http(client, self, False)

    def rest(self) -> None:
        """Out of descriptors or memory: accepting again at once would only spin."""
        if self.pause is None and self.watcher is not None:
            self.watcher.stop()
            self.pause = get_hub().loop.timer(PAUSE_SECONDS)
            self.pause.start(self.resume)

    def resume(self) -> None:
        self.pause.close()
        self.pause = None
        if self.watcher is not None:
            self.watcher.start(self.accept)


cdef class Connection(Served):
    """A client's connection that was accepted."""

    cdef Stream stream(self):
        return self.client

    cdef Context context(self):
        return self.listener.relay.context

    cdef int serve(self) except -1:
        return self.listener.serve(self)

    cdef int leave(self) except -1:
        cdef Context context = self.listener.relay.context
        context.scoreboard.workers.add_connections(context.worker, -1)
        return self.client.close() if self.client is not None else 0
