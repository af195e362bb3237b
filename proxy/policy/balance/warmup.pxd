# C types for warmup.py, which is compiled as it stands.
cdef double SECOND

cdef double warmth(double age_ms, double window_ms, double least, double aggression) noexcept nogil
