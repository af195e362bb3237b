# Classes of octets (RFC 9110 5.5 and 5.6.2, RFC 3986 3.2.2) and small comparisons, inlined where they are used.
#
# OCTET[c] is a set of the bits below. REG_NAME leaves out two characters that RFC 3986 allows in a host: the comma,
# which is what two joined Host fields look like, and the percent sign, which would give one host several spellings.
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef extern from *:
    """
    enum { TOKEN = 1, VALUE = 2, TARGET = 4, REG_NAME = 8, HEX = 16, DIGIT = 32 };
    #define VISIBLE (VALUE | TARGET)
    static const unsigned char OCTET[256] = {
        ['\\t'] = VALUE, [' '] = VALUE, [128 ... 255] = VALUE,
        ['0' ... '9'] = TOKEN | VISIBLE | REG_NAME | HEX | DIGIT,
        ['A' ... 'F'] = TOKEN | VISIBLE | REG_NAME | HEX, ['a' ... 'f'] = TOKEN | VISIBLE | REG_NAME | HEX,
        ['G' ... 'Z'] = TOKEN | VISIBLE | REG_NAME, ['g' ... 'z'] = TOKEN | VISIBLE | REG_NAME,
        ['!'] = TOKEN | VISIBLE | REG_NAME, ['"'] = VISIBLE, ['#'] = TOKEN | VALUE, ['$'] = TOKEN | VISIBLE | REG_NAME,
        ['%'] = TOKEN | VISIBLE, ['&' ... '\\''] = TOKEN | VISIBLE | REG_NAME, ['(' ... ')'] = VISIBLE | REG_NAME,
        ['*' ... '+'] = TOKEN | VISIBLE | REG_NAME, [','] = VISIBLE, ['-' ... '.'] = TOKEN | VISIBLE | REG_NAME,
        ['/'] = VISIBLE, [':'] = VISIBLE, [';'] = VISIBLE | REG_NAME, ['<'] = VISIBLE, ['='] = VISIBLE | REG_NAME,
        ['>' ... '@'] = VISIBLE, ['[' ... ']'] = VISIBLE, ['^'] = TOKEN | VISIBLE, ['_'] = TOKEN | VISIBLE | REG_NAME,
        ['`'] = TOKEN | VISIBLE, ['{'] = VISIBLE, ['|'] = TOKEN | VISIBLE, ['}'] = VISIBLE,
        ['~'] = TOKEN | VISIBLE | REG_NAME,
    };
    """
    const uint8_t* OCTET
    int TOKEN, VALUE, TARGET, REG_NAME, HEX, DIGIT

cdef enum:
    TAB = 9
    LF = 10
    CR = 13
    SP = 32


cdef inline bint is_a(uint8_t octet, int classes) noexcept nogil:
    return OCTET[octet] & classes != 0


cdef inline bint is_blank(uint8_t octet) noexcept nogil:
    return octet == SP or octet == TAB


cdef inline uint32_t skip(const char* data, uint32_t at, int classes) noexcept nogil:
    """The first offset from `at` whose octet is not of the classes. CR and LF are of none, so a line's end stops it."""
    while is_a(<uint8_t>data[at], classes):
        at += 1
    return at


cdef inline uint32_t skip_blanks(const char* data, uint32_t at) noexcept nogil:
    while is_blank(data[at]):
        at += 1
    return at


cdef inline bint has_control(uint64_t word) noexcept nogil:
    """Whether any of the eight octets is below 0x20 or is 0x7f; exact, and without a branch per octet."""
    cdef uint64_t ones = <uint64_t>0x0101010101010101
    cdef uint64_t deleted = word ^ (ones * 0x7F)
    return (((word - ones * 0x20) & ~word) | ((deleted - ones) & ~deleted)) & (ones * 0x80) != 0


cdef inline uint32_t skip_value(const char* data, uint32_t at, uint32_t size) noexcept nogil:
    """The same as skip(data, at, VALUE), eight octets at a time while they last: values are most of a head."""
    cdef uint64_t word
    while at + 8 <= size:
        memcpy(&word, data + at, 8)
        if has_control(word):
            break
        at += 8
    return skip(data, at, VALUE)


cdef inline bint same(const char* text, const char* lower, uint32_t length) noexcept nogil:
    """Whether a text without control octets is `lower` (of letters, digits, `-`, `/`) but for case."""
    cdef uint32_t index
    for index in range(length):
        if <uint8_t>(text[index] | 0x20) != <uint8_t>lower[index]:
            return False
    return True


cdef inline uint32_t trim(const char* data, uint32_t at, uint32_t end) noexcept nogil:
    """The end of data[at:end] without the blanks it ends with."""
    while end > at and is_blank(data[end - 1]):
        end -= 1
    return end


cdef inline bint equal_fold(const char* one, const char* other, uint32_t length) noexcept nogil:
    """Whether two tokens are the same but for the case of letters."""
    cdef uint32_t index
    cdef uint8_t a, b
    for index in range(length):
        a = one[index]
        b = other[index]
        if a != b and (a | 0x20 != b | 0x20 or a | 0x20 < c"a" or a | 0x20 > c"z"):
            return False
    return True
