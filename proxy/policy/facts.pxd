# What decisions go by, and what they say, as C structures and numbers: this room's own. Others fill them in; nothing here
# imports anything of ours. shapes.py is the same for Python. Which decisions there are and in which order: ARCHITECTURE.md.
from libc.stdint cimport int32_t, int64_t, uint32_t

# -- route ------------------------------------------------------------------------------------------------------------

cdef struct Facts:               # what a decision may know of a request
    bint tunnelled               # it came in a tunnel, which was opened to somewhere
    bint connect                 # its method is CONNECT

cdef enum Place:                 # what of a request says where it goes
    NOWHERE, BY_TARGET, BY_HOST

# -- balance: the endpoints of a cluster, by position -----------------------------------------------------------------

cdef struct View:
    int32_t count                # how many there are
    int32_t present              # how many are in
    const int32_t* members       # positions of those that are in, ascending
    const int32_t* rank          # how many that are in stand before each position
    const unsigned char* tried   # 1: not this time
    const int32_t* weights       # of each position, at least 1
    const int64_t* sums          # of those that are in, in the order of members: each one's and those before it, added up

cdef struct Groups:              # of endpoints, by where they are; in failover the first one is the best
    int32_t count                # how many groups there are
    const int32_t* sizes         # endpoints in each
    const int32_t* present       # ... that are in
    const int32_t* weights       # distribution's; 0: gets nothing
    int64_t* loads               # its part of the requests, beside the others'
    unsigned char* panicking     # 1: those that are out get requests, too

# -- breaker: what a cluster may have at once ------------------------------------------------------------------------

cdef struct RetryLimit:
    int64_t retries
    bint budgeted                # they do not matter, but these:
    int64_t budget               # so many ten-thousandths of the requests that run or wait (or of lately), ...
    int64_t budget_min           # ... but never fewer

# -- limit: how many requests in a time -------------------------------------------------------------------------------

cdef struct RateLimit:
    int64_t interval             # ns between two requests at that rate
    int64_t burst                # so many may come at once, at least 1

# -- retry, judge: how an attempt ended -------------------------------------------------------------------------------

cdef enum How:
    ANSWERED                     # a response head came
    CONNECTED                    # bytes are carried, and there is a connection for them
    CUT                          # an answer that began well broke off
    # nothing was answered, and another endpoint might:
    SHORT_OF                     # nothing was tried, for want of descriptors, memory, ports or certificates of our own
    NOT_CONNECTED                # no connection: refused, too slow, its certificate is another's
    CLOSED                       # the endpoint closed the connection before a response head
    RESET                        # it reset the request's stream, not its connection
    REFUSED                      # ... and did nothing with the request
    OVERDUE                      # it was not answered in the time that one attempt may take
    # there is no sense in another:
    NOT_HTTP                     # what came is not even the beginning of an answer
    MALFORMED                    # an answer came, or began to, that is refused
    SILENT                       # nothing came for too long
    ABANDONED                    # the client left
    CLIENT_FAILED                # the client's body stopped, or is none
    OVERFLOWED                   # nothing was tried: the cluster has as many as it may
    EXPIRED                      # it was not answered in the time that the request may take, by its route

cdef struct Ending:
    int how
    int status                   # of the response head
    int grpc                     # the gRPC status in it; -1: none
    bint sent                    # something of the request was
    bint repeatable              # sending the request twice does what sending it once does
    bint pooled                  # the connection had waited for a request, and no answer began on it
    bint answered                # the endpoint has answered something else since the request was sent
    bint waits                   # the request is of a kind that waits by nature, or was not all sent
    int retries                  # how many there were before
    int untried                  # endpoints of the cluster that had no attempt
    int64_t waited               # ns since the request was sent
    int trouble                  # NOT_CONNECTED, CLOSED, CUT: what the connection has to say of it, a Cause
    bint whole                   # all of the request that was sent is here still: it may be sent once more
    bint limited                 # the answer says that a rate limit made it (x-envoy-ratelimited)

cdef struct RetryRule:
    int retries                  # at most
    int64_t attempt              # ns until an attempt is answered; 0: without end
    int64_t pause, longest       # ns, by which the pauses between attempts are drawn, ...
    int64_t least                # ... and which no pause is shorter than
    bint named                   # a route says what is tried again besides; then the same endpoint will do, if need be
    unsigned char statuses[500]  # answers that are, by status, from 100 on
    uint32_t grpc                # ... and by the gRPC status of a response head: a bit for each
    bint resets                  # and what broke off, even if it may have been done already

cdef enum Retry:                 # what follows a failed attempt, or an answer that the rule does not take
    NO                           # it is the kind of failure that nothing follows
    EXHAUSTED                    # another would have, but there were enough, or there is none left
    ANOTHER                      # one on another endpoint, or after REFUSED on any that is in
    SAME                         # one on the same, on a fresh connection: this one says nothing about it

cdef struct OutlierRule:
    int64_t abandoned            # ns of silence that count when the client gives up on it; 0: they never do
    bint listed                  # the statuses that are failures are those below, else all from 500 on
    unsigned char failing[500]   # by status, from 100 on

cdef enum Outcome:               # what an attempt says about its endpoint
    NOTHING
    SUCCESS
    EXTERNAL_FAILURE             # the endpoint's own answer: counts, whoever saw it
    LOCAL_FAILURE                # seen from here only: refused, broken, silent

cdef enum Cause:                 # why an attempt failed; a status of HTTP is its own number. Words: causes.py
    UNKNOWN
    TUNNEL_STATUS = 1000         # and the status that the CONNECT was answered with
    GRPC_STATUS = 2000           # and the gRPC status of a response head
    CONNECTION_REFUSED = 3000    # nobody listens, or somebody on the way says so
    UNREACHABLE                  # no way there, or none that is allowed
    CONNECT_TIMEOUT              # no connection, TLS and tunnel within connectTimeout
    TLS_FAILED                   # no TLS that both sides accept
    TUNNEL_RESET                 # the pod's ztunnel ended the tunnel, its connection goes on
    CONNECTION_RESET             # the connection ended before, or in, the answer
    STREAM_ENDED                 # the same of a request's HTTP/2 stream, its connection goes on
    NO_PROTOCOL                  # what came is nothing that we speak
    BAD_ANSWER                   # an answer that is refused
    UNANSWERED                   # nothing came for too long
    LEFT_WAITING                 # the client gave up waiting
    SHORTAGE                     # of our own: nothing was tried

# -- paths: the form in which they are compared and forwarded ---------------------------------------------------------

cdef enum Normalization:         # meshConfig.pathNormalization
    PATHS_NORMAL                 # BASE
    SLASHES_MERGED               # MERGE_SLASHES
    SLASHES_DECODED              # DECODE_AND_MERGE_SLASHES
    PATHS_KEPT                   # NONE

# -- access: who gets in ----------------------------------------------------------------------------------------------

cdef enum Who:                   # what a decision says besides the number of the rule that denies
    ALLOWED = -1
    DENIED_BY_NONE = -2          # ... of the rules to allow

cdef enum Fact:                  # what a term is about; texts by their number, then the others
    OF_IDENTITY                  # the peer's, by its certificate: "td/ns/foo/sa/bar"
    OF_TRUST_DOMAIN
    OF_WORKLOAD                  # its identity without the trust domain
    OF_HOST
    OF_METHOD
    OF_PATH                      # without the query
    TEXTS                        # so many are texts
    OF_HEADER
    OF_PORT
    OF_SOURCE
    OF_DESTINATION
    OF_CLAIM                     # of a verified token

cdef enum Op:                    # how a text is to be
    TEXT_IS, TEXT_STARTS, TEXT_ENDS
    TEXT_LIKE                    # * stands for anything, anywhere
    TEXT_HAS                     # it is there
    TEXT_IS_THERE                # ... and not empty
    TEXT_FOLLOWS                 # a path, by a template

cdef struct Text:
    const unsigned char* at
    int length                   # -1: it is absent

cdef struct Line:                # of a header that some term names, or a value of a claim
    int header                   # its number
    const unsigned char* at
    int length

cdef struct Asked:               # what a decision may know of a request
    Text texts[6]                # by Fact, up to TEXTS
    const Line* lines
    int line_count
    const Line* claims           # of the request's token
    int claim_count
    const unsigned char* source  # addresses, 16 octets; all zeros: not known
    const unsigned char* destination
    int port

cdef struct Part:                # of those of the next kind below
    int first
    int count

cdef struct Term:
    bint negated
    int first                    # of its values
    int count

cdef struct Value:
    int fact                     # of what; all of a term's are of one, as far as people are concerned
    int header                   # OF_HEADER: its number; OF_CLAIM: the claim's
    int op                       # of a text
    const unsigned char* text    # or an address
    int length
    int number                   # a port, or how many bits of the address count

cdef struct Access:              # AuthorizationPolicies of one cluster
    const Part* rules            # those that deny, then those that allow
    int denying
    int rule_count
    bint limited                 # there is a policy that allows, so that others are not
    const Part* clauses
    const Part* alternatives
    const Term* terms
    const Value* values

# -- matching: which rule of a frontend's routes a request is for -----------------------------------------------------

cdef enum About:                 # what of a request a condition is about; texts by their number, then the others
    ABOUT_PATH                   # without the query
    ABOUT_METHOD
    ABOUT_AUTHORITY
    ABOUT_SCHEME
    ABOUT_NAMESPACE              # the client's, by its identity
    WHOLE_QUERY                  # no condition is about all of it
    WHOLES                       # so many are texts
    ABOUT_QUERY                  # one of its parameters
    ABOUT_HEADER
    ABOUT_CLAIM                  # of a verified token

cdef enum Comparing:             # how a text is to be
    COMPARE_IS, COMPARE_STARTS
    COMPARE_SEGMENTS             # it begins with these whole segments of a path
    COMPARE_LIKE                 # it matches a regular expression, of which this is how its matches begin
    COMPARE_IS_THERE

cdef struct Presented:           # what a request has that routes go by
    Text texts[6]                # by About, up to WHOLES
    const Line* lines            # of headers that some condition names
    int line_count
    const Line* claims           # values of claims of a verified token, by their numbers
    int claim_count

cdef struct Condition:
    int about
    int compare
    bint negated                 # it must not hold; what is missing counts as empty
    bint fold                    # upper and lower case are the same; `text` is in lower case
    int header                   # ABOUT_HEADER, ABOUT_CLAIM: its number
    const unsigned char* name    # ABOUT_QUERY: the parameter's
    int name_length
    const unsigned char* text
    int length

cdef struct Match:               # all its conditions hold
    int rule
    int first                    # of its conditions
    int count
    int early                    # so many of them, the first ones, need neither headers nor the query

cdef enum Indexing:
    HASH_BEGIN = 5381            # FNV-1a's way with octets
    HASH_PRIME = 16777619
    MOST_RANGES = 16             # of matches that are gone through side by side
    FEW_MATCHES = 8              # so many are as quickly looked at as looked for

cdef struct Bucket:              # matches of paths that begin alike, up to a slash or their end; a place in a hash table
    uint32_t key                 # the hash of that beginning
    int first                    # of its members
    int count                    # 0: it is free

cdef struct Routing:             # the routes of one frontend; of the matches that fit, the first one counts
    const Match* matches
    int count
    const Condition* conditions
    const Bucket* buckets
    uint32_t mask                # so many there are, a power of two, less one
    const int32_t* members       # numbers of matches; those that any path may fit come first
    int anywhere                 # so many of them

cdef struct Walk:                # which matches are still to be looked at
    int count                    # of ranges; -1: all from at[0] on
    int at[16]                   # in members, up to ...
    int end[16]

cdef struct Split:               # the backends of a rule
    const int64_t* weights
    int count
    int64_t total                # of the weights
