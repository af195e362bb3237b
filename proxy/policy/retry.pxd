# C types for retry.py, which is compiled as it stands.
cpdef bint may_retry(int retries, bint sent, bint idempotent, bint has_body) noexcept
cpdef bint may_replay(bint sent, bint idempotent, bint has_body) noexcept
