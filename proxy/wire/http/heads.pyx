"""Heads for messages that come in fields, which have one from their first field on. To make one costs more than to read a
message into it, so those that were given back are lent again.
"""

from cpython.ref cimport Py_DECREF, Py_INCREF, PyObject

cdef enum:
    MOST = 256                  # that lie here

ctypedef PyObject* Reference

cdef struct Spare:              # as a list would have them, which is made smaller and larger all the time
    Reference[MOST] heads
    int count

cdef Spare of_requests
cdef Spare of_responses


cdef Head new_head(bint lenient):
    """An empty one. `lenient`: for a response in HTTP/2, which may have its length beside chunks."""
    cdef Spare* spare = &of_responses if lenient else &of_requests
    cdef Head head
    if spare.count:
        spare.count -= 1
        head = <Head>spare.heads[spare.count]
        Py_DECREF(head)         # what lay here was a reference too
        head.clear()
    else:
        head = Head(lenient=lenient)
    head.both_framings = lenient
    return head


cdef int give_back(Head head) except -1:
    """Nobody looks into it any more."""
    cdef Spare* spare = &of_responses if head.lenient else &of_requests
    if spare.count < MOST:
        Py_INCREF(head)
        spare.heads[spare.count] = <Reference>head
        spare.count += 1
    return 0
