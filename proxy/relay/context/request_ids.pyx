"""Ids for requests that come without one: unique, and no secrets."""

import os

from libc.stdint cimport uint32_t
from libc.string cimport memcpy



cdef inline uint64_t rotate(uint64_t x, int k) noexcept:
    return (x << k) | (x >> (64 - k))


cdef inline uint64_t hex_of(uint64_t bits) noexcept:
    """Eight hexadecimal digits, one of each four of the lower 32 bits, in an order that is the machine's."""
    cdef uint64_t ones = <uint64_t>0x0101010101010101
    cdef uint64_t x = <uint32_t>bits
    x = (x | x << 16) & <uint64_t>0x0000ffff0000ffff
    x = (x | x << 8) & <uint64_t>0x00ff00ff00ff00ff
    x = (x | x << 4) & (ones * 15)
    return x + ones * c"0" + (((x + ones * 6) >> 4) & ones) * <uint64_t>39     # from 9 to `a` there are 39 more


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
        cdef uint64_t high = self.next_random()
        cdef uint64_t low = self.next_random()
        cdef uint64_t[4] digits = [hex_of(high >> 32), hex_of(high), hex_of(low >> 32), hex_of(low)]
        cdef const char* text = <const char*>digits
        memcpy(out, text, 8)
        out[8] = out[13] = out[18] = out[23] = b"-"
        memcpy(out + 9, text + 8, 4)
        memcpy(out + 14, text + 12, 4)
        memcpy(out + 19, text + 16, 4)
        memcpy(out + 24, text + 20, 12)
        out[14] = b"4"                                  # the version
        out[19] = (<const char*>b"89ab")[low >> 32 & 3] # the variant, by bits of the digit that stood there
