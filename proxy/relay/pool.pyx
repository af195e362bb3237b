"""How an endpoint is reached: a fresh byte stream to it, over TCP."""

from libc.errno cimport EADDRNOTAVAIL, EMFILE, ENFILE, ENOBUFS, ENOMEM

from proxy.wire.tcp cimport connect


cdef Stream reach(Endpoint endpoint, Cluster cluster, Context context, Stream client, int* error, list reason):
    """A fresh byte stream to the endpoint for what `client` wants, within the cluster's connect timeout.

    None if it cannot be reached: the errno is in `error` (ETIMEDOUT: too slow), and what else there is to say, as text
    for the log, in `reason`, which faults.connect_failed takes.
    """
    return connect(endpoint.address, cluster.connect_seconds, context.stall_seconds, error)


cdef bint own_shortage(int error) noexcept:
    """Whether a connection was not even tried, for want of descriptors, memory or ports of our own: that says nothing
    about the endpoint."""
    return error in (EMFILE, ENFILE, ENOMEM, ENOBUFS, EADDRNOTAVAIL)
