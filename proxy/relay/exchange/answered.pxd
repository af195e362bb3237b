# What a response says about its endpoint, and whether it is taken; theory in answered.pyx.
from proxy.relay.exchange.exchange cimport Exchange
from proxy.relay.exchange.http_attempt cimport HttpAttempt

cdef int judge_answer(HttpAttempt attempt) except -1
cdef bint is_in_vain(Exchange exchange, HttpAttempt attempt) except -1
