# What is tried again, as a snapshot says it; theory in retry_rule.pyx.
from proxy.policy.facts cimport RetryRule

cdef int read_retry_rule(RetryRule* rule, dict form) except -1
