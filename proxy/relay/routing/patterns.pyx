"""Regular expressions of routes: RE2's, whose time is bounded by the length of the text whatever somebody writes.

Asking RE2 from here takes as long as comparing hundreds of texts, so it is asked last, and only of what begins as the
expression does.
"""

import re2

cdef bytes PLAIN = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/-_~%&=,;:@!"


cdef class Pattern:
    """All of a text is as `text` says; `fold`: upper and lower case are the same. What is no regular expression the
    controller refuses; should one come here, nothing is like it."""

    def __init__(self, str text, bint fold=False):
        made = options()
        made.case_sensitive = not fold
        self.begins = b"" if fold else beginning(text.encode())
        try:
            self.compiled = re2.Set.FullMatchSet(made)
            self.compiled.Add(text.encode())
            self.compiled.Compile()
        except re2.error:
            self.compiled = None

    cdef bint likes(self, const unsigned char* text, int length) except -1:
        return length <= LONGEST and self.compiled is not None and bool(
            self.compiled.Match((<const char*>text)[:length]))

    def matches(self, bytes text) -> bool:
        return self.likes(text, len(text))


cdef object options():
    """RE2 as Envoy has it, and silent."""
    made = re2.Options()
    made.log_errors = False
    return made


cdef bytes beginning(bytes text):
    """What all that matches begins with, as far as it is easily told."""
    cdef Py_ssize_t at = 0
    if b"|" in text:
        return b""
    while at < len(text) and text[at] in PLAIN:
        at += 1
    if at < len(text) and text[at] in b"*?{":
        at -= 1
    return text[:max(at, 0)]
