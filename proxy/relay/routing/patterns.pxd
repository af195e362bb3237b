# Regular expressions of routes; see patterns.pyx.
cdef enum:
    LONGEST = 8192              # of a text that is compared

cdef class Pattern:
    cdef object compiled        # None: it is none, and nothing is like it
    cdef readonly bytes begins  # all that is like it begins so

    cdef bint likes(self, const unsigned char* text, int length) except -1

cdef object options()
cdef bytes beginning(bytes text)
