# The scoreboard as all processes have it; see scoreboard.pyx.
from proxy.scoreboard.clusters cimport Clusters
from proxy.scoreboard.counts cimport Counts
from proxy.scoreboard.endpoints cimport Endpoints
from proxy.scoreboard.memory cimport Memory
from proxy.scoreboard.outlier cimport Outlier
from proxy.scoreboard.probes cimport Probes
from proxy.scoreboard.rate_limits cimport RateLimits
from proxy.scoreboard.shares cimport Shares
from proxy.scoreboard.series cimport SeriesTable
from proxy.scoreboard.workers cimport Workers

cdef class Scoreboard:
    cdef Memory memory           # for the request path, which keeps pointers to rows
    cdef readonly Workers workers
    cdef readonly Clusters clusters
    cdef readonly Endpoints endpoints
    cdef readonly Outlier outlier
    cdef readonly Probes probes
    cdef readonly RateLimits rate_limits
    cdef readonly Shares shares
    cdef readonly SeriesTable series
    cdef readonly Counts counts
