# Which chooser a cluster has.
from proxy.relay.endpoints.chooser cimport Chooser
from proxy.scoreboard.scoreboard cimport Scoreboard

cdef Chooser chooser_for(Scoreboard scoreboard, list endpoints, list weights, int cluster, bint ejects, dict balance)
