# Text that a line of the log takes as it is: printable ASCII without quotes and backslashes. Inlined where it is used.
from libc.stdint cimport uint64_t
from libc.string cimport memcpy


cdef inline bint is_plain(unsigned char c) noexcept:
    return 0x20 <= c < 0x7f and c != b'"' and c != b"\\"


cdef inline Py_ssize_t copy_plain(char* out, const char* text, Py_ssize_t length) noexcept:
    """Copies what is nothing but plain text at the beginning, nearly always all of it, eight octets at a time; how many
    octets that were. The last eight overlap those before."""
    cdef Py_ssize_t at = 0
    cdef uint64_t word
    while at < length and length >= 8:
        at = min(at, length - 8)
        memcpy(&word, text + at, 8)
        if has_odd(word):
            break
        memcpy(out + at, &word, 8)
        at += 8
    while at < length < 8 and is_plain(text[at]):
        out[at] = text[at]
        at += 1
    return at


cdef inline bint has_odd(uint64_t word) noexcept:
    """Whether any of the eight octets is a control, a quote, a backslash, or not ASCII."""
    cdef uint64_t ones = <uint64_t>0x0101010101010101
    cdef uint64_t quote = word ^ (ones * c'"'), backslash = word ^ (ones * c"\\"), deleted = word ^ (ones * 0x7f)
    return ((word | (word - ones * 0x20) | (quote - ones) | (backslash - ones) | (deleted - ones)) & (ones * 0x80)) != 0
