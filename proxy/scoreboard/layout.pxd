# Rows of the memory that all processes of one replica share. Theory and rules: __init__.py.
from libc.stdint cimport int32_t, int64_t, uint16_t, uint32_t, uint64_t

from proxy.scoreboard.mutex cimport pthread_mutex_t

cdef enum:
    WORKERS = 64
    CLUSTERS = 4096
    ENDPOINTS = 32768
    CLASSES = 6          # no answer, 1xx .. 5xx
    BUCKET_COUNT = 20
    KEPT_CAUSES = 8      # of an endpoint's failures: as many as there is evidence of in the store
    SERIES = 8192        # label sets of Istio's metrics
    LABELS = 2024        # bytes of one
    BOUND_COUNT = 20     # buckets of their histograms
    GROUPS = 8           # of a cluster's endpoints, by where they are, that take turns over all workers
    REASONS = 8          # why endpoints are ejected
    BUCKET_WAYS = 8      # places where one may be
    RULE_BUCKETS = 8192  # of limits under which all requests count together, ...
    KEY_BUCKETS = 65536  # ... and of others. Powers of two
    COUNTS = 2048        # of what configuration names, in each worker; the first one is for what finds no room
    COUNT_TEXT = 500     # octets of what one is called
    LIMITED = 4          # what there may be so many of in a cluster: the Limits below
    PARTS = 10           # of the time for which a cluster's requests are counted, ...
    PART_PLACES = 16     # ... and places for their counts

cdef enum:
    NO_PROBE, PROBE_OFFERED, PROBE_TAKEN

cdef enum:               # Limits of a cluster
    CONNECTIONS, PENDING, REQUESTS, RETRIES

cdef enum:               # flags of an ejection
    HELD = 1             # this replica made it alone and waits for Redis to answer
    LOGGED = 2           # its line is in the log
    SHARED = 4           # Redis knows it
    PRIVATE = 8          # Redis is not to know it

cdef enum:               # what a series counts. The row of that number is for what finds no room of its own
    OF_REQUESTS, OF_CONNECTIONS, OF_MESSAGES, SERIES_KINDS

cdef enum:               # states of a series
    NOBODYS, COUNTED, GIVEN_UP

cdef struct EndpointRow:
    # hot: read or written for every attempt, one cache line
    int32_t in_flight            # attempts running on it now, all workers
    uint32_t generation          # moved forward by every ejection; attempts carry the one they were dispatched under
    int64_t ejected_until        # CLOCK_MONOTONIC ns; in the past (or 0): takes traffic
    int64_t answered             # when it last answered this replica anything, CLOCK_MONOTONIC ns
    int64_t requests             # attempts dispatched
    int64_t failed               # attempts that were failures
    uint32_t dirty               # a run of failures may be open somewhere in the fleet: successes must be reported
    int32_t used
    int64_t succeeded            # when an attempt on it succeeded last, CLOCK_MONOTONIC ns; only under a rule
    int32_t probe                # NO_PROBE, PROBE_OFFERED, PROBE_TAKEN: one request may, or does, try it while it is out
    uint32_t witnessed           # one of our workers tells the fleet of all its outcomes
    # outlier state, under the cluster's lock
    int32_t failures             # this replica's run
    int32_t local_failures       # of these, those of local origin
    int32_t gateway_failures     # at its end in a row: gateway errors, ...
    int32_t gateway_local_failures  # ... of these, those of local origin
    int32_t local_origin_failures   # ... and connections that were not made
    int32_t ejections
    int32_t backoff              # Envoy's multiplier k
    int32_t run                  # failures that led to the last ejection
    int64_t ejection_ms
    int64_t unejected_at         # ns; when it last came back
    int64_t version              # of the fleet's news that wrote this
    int64_t overflow_noted       # CLOCK_MONOTONIC ms; when an overflow was last logged
    int64_t probe_at             # CLOCK_MONOTONIC ns; from when on it may be probed, 0: it comes back by itself
    int64_t local_failed         # ns; its last failure of local origin
    int64_t heard                # ns; when its side last said that there is no answer
    int32_t local_cause          # of local_failed, a Cause of policy/facts.pxd
    uint32_t caused              # failures of it that were counted
    uint16_t causes[KEPT_CAUSES] # why, of the last ones: the latest stands at caused - 1, round and round
    int64_t dirtied              # CLOCK_MONOTONIC ns; when it was last said that somebody counts its failures
    int64_t run_began            # CLOCK_MONOTONIC ns; when the first failure of this replica's run was counted
    int64_t witnesses_until      # CLOCK_MONOTONIC ns; till then only witnesses tell the fleet of it; 0: everybody does
    int64_t witnesses            # the number from which follows who they are
    int32_t witnesses_of         # of how many replicas
    int32_t asked                # the fleet is asked who has seen a success: everybody tells until that is answered
    int64_t since                # when the slot was given out
    int64_t well                 # outcomes, where the rule goes by rates: successes, ...
    int64_t badly                # ... and failures that count
    int64_t well_told            # of these, what the leader has taken
    int64_t badly_told
    uint32_t flags               # HELD, LOGGED, SHARED, PRIVATE
    int32_t cluster
    char address[64]
    char workload[256]
    char reason[256]             # of its ejection, as the fleet or a hand gave it
    char by[128]                 # who ejected it

cdef struct ClusterRow:
    pthread_mutex_t lock
    int32_t holder               # process that has the lock, 0: none
    int32_t used
    int32_t cursor               # round robin: 1 + position of the endpoint picked last
    uint32_t changes             # moved on after every change of who of its endpoints is out, or offers itself
    int32_t alone                # its keys in the store are of no use: this replica decides by itself
    int64_t full                 # CLOCK_MONOTONIC ms until when the fleet's word holds that no more may be out; 0: there is room
    int64_t version              # of the fleet's state, as last read
    char epoch[40]
    char name[240]
    int32_t cursors[GROUPS]      # round robin of each group of its endpoints
    int64_t held[LIMITED]        # how many there are in all workers; above that, how often it has moved (limits.pyx)
    int64_t shares[LIMITED]      # 1 + how many of them the fleet lets this replica have; 0: nobody has said (shares.pyx)
    int64_t recent[PART_PLACES]  # requests of a part of `budgetInterval`: which part that is, and how many (recent.pyx)

cdef struct Counters:            # of one cluster in one worker: written by that worker alone
    int64_t requests[CLASSES]
    int64_t retries
    int64_t decided[REASONS]     # ejections: this replica's own, ...
    int64_t followed[REASONS]    # ... and those it was told of
    int64_t unejections
    int64_t overflows
    int64_t duration_ms
    int64_t buckets[BUCKET_COUNT]
    int64_t opened               # connections to endpoints: made, ...
    int64_t unopened             # ... and not
    int64_t idle                 # pooled now
    int64_t reused
    int64_t refused[LIMITED]     # there was no room for another
    int64_t mirrored             # copies of requests: made, ...
    int64_t unmirrored           # ... and not, for want of room
    int64_t grouped[GROUPS]      # picks by group of endpoints; the last one is for all beyond

cdef struct Holding:             # what one worker holds of what a cluster has limits for: written by that worker alone
    int32_t held[LIMITED]
    int32_t moving               # it is between moving the cluster's number and saying so here
    int32_t pad
    int64_t waits_since          # CLOCK_MONOTONIC ns; of those who wait in this worker for a connection, the first; 0: none
    char rest[32]                # a cache line: the next row is another cluster's

cdef struct Bucket:              # of requests that count together for a rate limit (buckets of rate_limits.pyx)
    uint64_t key                 # which these are; 0: nobody's
    int64_t arrival              # CLOCK_MONOTONIC ns; what GCRA knows of them
    int64_t leased               # where the fleet counts: how many it lets this replica let in, ...
    int64_t lapses_at            # ... and until when, ns
    int64_t refused_until        # it has no more before, ns
    int64_t owed                 # let in without, on this replica's own account
    int64_t asked                # all requests
    int64_t replicas             # how many there are; 0: nobody has said

cdef struct Count:               # of one worker: written by it alone
    int64_t value
    int32_t length               # of its text, which is there before; 0: nobody's
    char text[COUNT_TEXT]

cdef struct SeriesRow:           # one label set; under the header's lock for them
    uint64_t hash                # of kind and labels
    uint32_t generation          # moved on when the row is given up: who remembers it looks again
    int32_t state                # SeriesState
    int32_t kind
    int32_t length
    char labels[LABELS]

cdef struct RequestTally:
    int64_t duration_ms, received, sent
    int64_t durations[BOUND_COUNT]
    int64_t received_sizes[BOUND_COUNT]
    int64_t sent_sizes[BOUND_COUNT]

cdef struct ConnectionTally:
    int64_t opened, closed, received, sent

cdef struct MessageTally:
    int64_t requests, responses

cdef union Tallied:
    RequestTally of_requests
    ConnectionTally of_connections
    MessageTally of_messages

cdef struct Tally:               # of one series in one worker: written by that worker alone
    int64_t touched              # when it was last counted, CLOCK_MONOTONIC ns
    Tallied counted

cdef struct Reports:             # of one worker to the store
    int64_t answered
    int64_t failed
    int64_t duration_us
    int64_t buckets[BOUND_COUNT]

cdef struct WorkerRow:
    int32_t pid
    int32_t state
    int32_t connections
    int32_t unread_answers       # that wait for their HTTP/2 client to read
    int64_t snapshot
    int64_t requests
    int64_t log_lines_dropped
    int64_t handed_over
    int32_t waiting_requests     # of HTTP/2 clients, not begun before they read
    int32_t starts               # processes that there were in this slot
    int64_t turns                # of its loop: what a worker did between two waits before the latest is over
    int64_t cpu_ns               # of all its processes
    int64_t cpu_before           # ... of those before this one
    Reports reports
    int64_t tokens_taken, tokens_refused
    int64_t keys_missed          # tokens of keys that nobody knew
    char rest[32]                # whole cache lines: the next row is another worker's

cdef struct Header:
    uint64_t magic
    pthread_mutex_t lock         # connections to workers
    int32_t holder               # process that has the lock, 0: none
    int32_t draining             # 0: no, 1: the replica is going away, 2: and in haste
    int32_t reconciled
    int32_t shared_state
    int32_t suspects_itself
    int64_t lease                # of the worker that subscribes and reconciles: until when (ms), and 1 + its slot
    int64_t mode_since           # CLOCK_MONOTONIC ms; when shared_state changed last
    char mode_reason[192]        # why this replica decides by itself
    int32_t workers_high
    int32_t clusters_high        # rows above were never used, and never touched
    int32_t endpoints_high
    pthread_mutex_t series_lock
    int32_t series_holder
    int32_t series_high
    int32_t series_full          # somebody has said so
    int32_t losses               # how often Redis ceased to decide
    int64_t expired              # series given up for good
