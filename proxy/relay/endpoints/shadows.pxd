# Policies that have no say in who gets in; theory in shadows.pyx.
from proxy.relay.endpoints.counted cimport Counted
from proxy.relay.endpoints.gate cimport Gate
from proxy.relay.endpoints.verdict cimport Verdict
from proxy.wire.http.head cimport Head
from proxy.wire.stream cimport Stream

cdef class Shadows:
    cdef Gate audit                      # whose rules to deny are those that audit; or None
    cdef Gate dry_run                    # who would get in, or None
    cdef readonly list claims

    cdef bytes told(self, Head head, Stream client, Verdict token, Counted counted)
