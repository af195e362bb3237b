"""Numbers that Python and Lua must agree upon, each said once. Pure.

state/scripts.py puts every name in front of every script, as a local of the same name.
"""

# Envoy's max_ejection_time, which no DestinationRule can set; a longer base wins.
MAX_EJECTION_MS = 300_000
# An ejection that is longer has no end.
ENDLESS_MS = 315_360_000_000
# With recovery by probe an endpoint that nobody probes (there are no requests) is back so long after its time.
PROBE_AWAITED_MS = 600_000
# The overflows of one endpoint are logged so often at most.
OVERFLOW_LOG_MS = 60_000
# So many of the last failures of a run are kept.
EVIDENCE = 8
# A rule that no replica has told of for a week is nobody's.
RULE_MS = 604_800_000
# Who is in a cluster, as replicas say, is kept so long, and longer by each that says so.
VIEW_KEPT_MS = 86_400_000
# A run must be as old as two round trips of reports, as measured within the last minute, but need not be older than
# this.
LONGEST_MIN_RUN_MS = 100
PACE_KEPT_MS = 60_000
# Above so many deliveries a second of news of one endpoint's runs, for half a second, only so many workers of the fleet
# report its outcomes, for so long (state/outlier/witnesses.py).
DELIVERIES = 1500
WITNESSES = 12
WITNESSES_MS = 10_000
# Others are named so long before, so that there are always some.
EARLY_MS = 500
# Who has seen a success says so within that time of being asked; after an answer nobody is asked for so long, ever
# longer up to the second, and in a large fleet up to the third.
ANSWERS_MS = 10
ASK_PAUSE_MS = 50
LONG_ASK_PAUSE_MS = 250
LONGEST_ASK_PAUSE_MS = 1000
