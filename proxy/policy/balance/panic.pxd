# C types for panic.py, which is compiled as it stands.
cdef int OVERPROVISIONED

cdef bint panics(int present, int count, int min_health_percent) noexcept nogil
