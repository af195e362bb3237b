"""Ids for requests that come without one: unique, and no secrets."""

import os

from libc.string cimport memcpy

cdef const char* HEX = b"0123456789abcdef"


cdef inline uint64_t rotate(uint64_t x, int k) noexcept:
    return (x << k) | (x >> (64 - k))


cdef class RequestIds:
    """One worker's source of them."""

    def __cinit__(self):
        cdef bytes seed = os.urandom(sizeof(self.state))
        memcpy(self.state, <const char*>seed, sizeof(self.state))

    cdef uint64_t next_random(self) noexcept:
        """xoshiro256**."""
        cdef uint64_t* s = self.state
        cdef uint64_t result = rotate(s[1] * 5, 7) * 9
        cdef uint64_t t = s[1] << 17
        s[2] ^= s[0]
        s[3] ^= s[1]
        s[1] ^= s[2]
        s[0] ^= s[3]
        s[2] ^= t
        s[3] = rotate(s[3], 45)
        return result

    cdef void make(self, char* out) noexcept:
        """A version 4 UUID as 36 characters (RFC 9562)."""
        cdef uint64_t high = (self.next_random() & <uint64_t>0xffffffffffff0fff) | 0x4000
        cdef uint64_t low = (self.next_random() & <uint64_t>0x3fffffffffffffff) | <uint64_t>0x8000000000000000
        cdef int at, shift = 60
        cdef uint64_t word = high
        for at in range(36):
            if at in (8, 13, 18, 23):
                out[at] = b"-"
                continue
            if at == 19:
                word, shift = low, 60
            out[at] = HEX[(word >> shift) & 15]
            shift -= 4
