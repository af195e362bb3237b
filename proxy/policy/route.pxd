# C types for route.py, which is compiled as it stands.
from proxy.policy.facts cimport Facts

cdef int NOWHERE, BY_TARGET, BY_HOST

cdef int place_of(const Facts* facts) noexcept nogil
