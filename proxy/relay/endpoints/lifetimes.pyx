"""How long connections to a cluster's endpoints last, as `connectionPool` says: which idle, for how long, for how many
requests, and how it is found out that a peer is gone."""

from proxy.wire.sockets cimport IPPROTO_TCP, TCP_KEEPCNT, TCP_KEEPIDLE, TCP_KEEPINTVL, setsockopt


cdef class Lifetimes:
    """`pool` is ipc.snapshot's PoolForm; `idle`, which holds where that says nothing, somebody else ticks."""

    def __init__(self, dict pool, Deadlines idle):
        self.idle = deadlines(pool.get("idle_ms"), idle)
        self.bytes_idle = deadlines(pool.get("bytes_idle_ms"), None)
        self.ping, self.pong = deadlines(pool.get("ping_ms"), None), deadlines(pool.get("pong_ms"), None)
        self.duration = pool.get("duration_ms", 0) * 1_000_000
        self.requests = pool.get("requests_per_connection", 0)
        self.streams = pool.get("streams", 0)
        self.probes, self.probe_after, self.probe_every = pool.get("keepalive", (0, 0, 0))

    cdef int tick(self) except -1:
        """Ends the waits that are over; to be called a few times a second."""
        for each in (self.idle, self.bytes_idle, self.ping, self.pong):
            if each is not None:
                each.tick()
        return 0

    cdef int keep_alive(self, TcpStream stream) except -1:
        """Has the kernel ask after the peer of a connection as `tcpKeepalive` says; what it leaves open stays."""
        if self.probes:
            setsockopt(stream.fd, IPPROTO_TCP, TCP_KEEPCNT, &self.probes, sizeof(int))
        if self.probe_after:
            setsockopt(stream.fd, IPPROTO_TCP, TCP_KEEPIDLE, &self.probe_after, sizeof(int))
        if self.probe_every:
            setsockopt(stream.fd, IPPROTO_TCP, TCP_KEEPINTVL, &self.probe_every, sizeof(int))
        return 0


cdef Deadlines deadlines(object milliseconds, Deadlines otherwise):
    return otherwise if milliseconds is None else Deadlines(milliseconds / 1000)
