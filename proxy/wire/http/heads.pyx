"""Heads for messages that come in fields, which have one from their first field on. To make one costs more than to read a
message into it, so those that were given back are lent again.
"""

cdef enum:
    MOST = 256                  # that lie here

cdef list of_requests = []
cdef list of_responses = []


cdef Head new_head(bint lenient):
    """An empty one. `lenient`: for a response in HTTP/2, which may have its length beside chunks."""
    cdef list spare = of_responses if lenient else of_requests
    cdef Head head
    if spare:
        head = spare.pop()
        head.clear()
    else:
        head = Head(lenient=lenient)
    head.both_framings = lenient
    return head


cdef int give_back(Head head) except -1:
    """Nobody looks into it any more."""
    cdef list spare = of_responses if head.lenient else of_requests
    if len(spare) < MOST:
        spare.append(head)
    return 0
