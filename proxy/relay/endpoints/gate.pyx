"""Who gets in to a cluster: its AuthorizationPolicies, as a snapshot's AccessForm has them, over what a request or a
connection has. Decisions are proxy/policy/access.py's; here they are given the octets, without an object for any.

What a token says is so only if it has been verified (tokens.pyx); headers that it is told to endpoints in are the
request's, and those that do not go on are not.

The peer is who its certificate says, and its address the one that it came from: X-Forwarded-For is anybody's word. Paths
are compared without query and fragment, normalised, and forwarded so, or a rule would match one path and the endpoint
another.
"""

from ipaddress import ip_network

from libc.stdint cimport uint8_t
from libc.stdlib cimport calloc, free
from libc.string cimport memchr, memcpy, memset

from proxy.policy cimport access as policy
from proxy.policy.facts cimport (
    ALLOWED, OF_CLAIM, OF_DESTINATION, OF_HEADER, OF_HOST, OF_IDENTITY, OF_METHOD, OF_PATH, OF_PORT, OF_SOURCE,
    OF_TRUST_DOMAIN, OF_WORKLOAD, TEXT_ENDS, TEXT_FOLLOWS, TEXT_HAS, TEXT_IS, TEXT_IS_THERE, TEXT_LIKE, TEXT_STARTS, TEXTS, Asked, Text,
)

cdef extern from "<arpa/inet.h>" nogil:
    int AF_INET, AF_INET6
    int inet_pton(int family, const char* text, void* octets)

cdef enum:
    SCHEME = 9                  # len("spiffe://")
    ADDRESS = 16
    LONGEST = 46                # of an address as text, with its end
    MEMO = 64                   # places of a memo, as the policy has it

cdef bytes V4_IN_V6 = b"\0" * 10 + b"\xff\xff"
cdef dict FACTS = {
    "identity": OF_IDENTITY, "trust_domain": OF_TRUST_DOMAIN, "workload": OF_WORKLOAD, "host": OF_HOST,
    "method": OF_METHOD, "path": OF_PATH, "header": OF_HEADER, "port": OF_PORT, "source": OF_SOURCE,
    "destination": OF_DESTINATION, "claim": OF_CLAIM,
}
cdef dict OPS = {
    "is": TEXT_IS, "starts": TEXT_STARTS, "ends": TEXT_ENDS, "like": TEXT_LIKE, "has": TEXT_HAS,
    "is_there": TEXT_IS_THERE, "follows": TEXT_FOLLOWS,
}


cdef void* room(list things, size_t size) except NULL:
    cdef void* found = calloc(max(1, len(things)), size)
    if found == NULL:
        raise MemoryError
    return found


cdef class Gate:
    """`port`: the Service's, which was dialled. `claims`: those that have a number already."""

    def __init__(self, dict form, int port, list claims=None):
        cdef list rules = [*form["deny"], *form["allow"]]
        cdef list clauses = [each for rule in rules for each in sorted(rule["clauses"], key=says_nothing_of_paths)]
        cdef list alternatives = [each for clause in clauses for each in clause]
        cdef list terms = [each for alternative in alternatives for each in sorted(alternative, key=is_of_no_path)]
        cdef dict firsts = {}       # terms that say the same share their values
        cdef list values = put_values(terms, firsts)
        self.port, self.kept = port, []
        self.names = [each["name"].encode() for each in rules]
        self.headers = [each.encode() for each in named(values, "header")]
        self.claims = list(dict.fromkeys([*(claims or ()), *named(values, "claim")]))
        self.rules = parts([each["clauses"] for each in rules])
        self.clauses, self.alternatives = parts(clauses), parts(alternatives)
        self.fill_terms(terms, firsts)
        self.fill_values(values)
        if self.headers:
            self.lines = Lines(self.headers)
        self.access.rules, self.access.clauses, self.access.alternatives = self.rules, self.clauses, self.alternatives
        self.access.terms, self.access.values = self.terms, self.values
        self.access.denying, self.access.rule_count = len(form["deny"]), len(rules)
        self.access.limited = form["limited"]

    def __dealloc__(self):
        free(self.rules)
        free(self.clauses)
        free(self.alternatives)
        free(self.terms)
        free(self.values)

    def fill_terms(self, list terms, dict firsts) -> None:
        cdef int at
        self.terms = <Term*>room(terms, sizeof(Term))
        for at in range(len(terms)):
            self.terms[at].negated = terms[at]["negated"]
            self.terms[at].first, self.terms[at].count = firsts[repr(terms[at]["values"])], len(terms[at]["values"])

    def fill_values(self, list values) -> None:
        cdef int at
        cdef bytes octets
        self.values = <Value*>room(values, sizeof(Value))
        for at in range(len(values)):
            octets, self.values[at].number = content_of(values[at])
            self.kept.append(octets)
            self.values[at].fact, self.values[at].op = FACTS[values[at]["fact"]], OPS[values[at]["op"]]
            self.values[at].text, self.values[at].length = octets, len(octets)
            if self.values[at].fact == OF_HEADER:
                self.values[at].header = self.headers.index(values[at]["header"].encode())
            if self.values[at].fact == OF_CLAIM:
                self.values[at].header = self.claims.index(values[at]["header"])
            self.by_path |= self.values[at].fact == OF_PATH
            self.by_source |= self.values[at].fact == OF_SOURCE
            self.by_destination |= self.values[at].fact == OF_DESTINATION

    cdef bytes refuses(self, Head head, Stream client, Verdict token):
        """The name of the rule that refuses a request, `none` if it is the want of one that allows; None: it gets in.
        `head` is None for a connection that carries no requests, `token` where none is verified."""
        cdef Asked asked
        cdef uint8_t[ADDRESS] source
        cdef uint8_t[ADDRESS] destination
        cdef int ruling
        cdef int[MEMO] memo
        asked.port, asked.line_count, asked.lines, asked.claim_count = self.port, 0, NULL, 0
        asked.source, asked.destination = source, destination
        memset(source, 0, ADDRESS)
        memset(destination, 0, ADDRESS)
        if self.by_source:
            address_of(client.peer, len(client.peer), source)
        if self.by_destination:
            dialled = client.target if client.target is not None else client.local
            address_of(dialled, len(dialled), destination)
        put_identity(asked.texts, client.identity)
        put_request(asked.texts, head, client.buffer)
        if self.lines is not None and head is not None:
            asked.lines = self.lines.lines
            asked.line_count = self.lines.find(head, client.buffer, None if token is None else token.fields)
        if token is not None:
            asked.claims, asked.claim_count = token.claims, token.claim_count
        memset(memo, 0, sizeof(memo))
        ruling = policy.decide(&self.access, &asked, memo)
        if ruling == ALLOWED:
            return None
        return self.names[ruling] if ruling >= 0 else b"none"


def is_of_no_path(dict term) -> bool:
    """Rules differ in their paths most: what is first asked of them is what most of them fail by."""
    return not any(each["fact"] == "path" for each in term["values"])


def says_nothing_of_paths(list clause) -> bool:
    return all(is_of_no_path(term) for alternative in clause for term in alternative)


cdef list put_values(list terms, dict firsts):
    """Those of all terms, and by what they say, where each term's begin."""
    cdef list found = []
    for term in terms:
        if repr(term["values"]) not in firsts:
            firsts[repr(term["values"])] = len(found)
            found += term["values"]
    return found


cdef list named(list values, str fact):
    """The names of headers, or claims, that values are of."""
    return list(dict.fromkeys(each["header"] for each in values if each["fact"] == fact))


cdef tuple content_of(dict form):
    """A value's octets and its number: a text and a port, or a block's address, IPv4 as IPv6 has it, and its bits."""
    if form["fact"] not in ("source", "destination"):
        return form["text"].encode(), form["number"]
    block = ip_network(form["text"])
    before = V4_IN_V6 if block.version == 4 else b""
    return before + block.network_address.packed, block.prefixlen + 8 * len(before)


cdef Part* parts(list things) except NULL:
    """Where each one's begin among all of theirs, and how many they are."""
    cdef Part* found = <Part*>room(things, sizeof(Part))
    cdef int at, first = 0
    for at in range(len(things)):
        found[at].first, found[at].count = first, len(things[at])
        first += found[at].count
    return found


cdef void put(Text* texts, int fact, const char* at, Py_ssize_t length) noexcept:
    texts[fact].at, texts[fact].length = <const unsigned char*>at, <int>length


cdef void put_identity(Text* texts, bytes identity) noexcept:
    """A SPIFFE ID is spiffe://TRUST_DOMAIN/WORKLOAD."""
    cdef const char* text
    cdef const char* slash
    cdef Py_ssize_t length
    put(texts, OF_IDENTITY, NULL, -1)
    put(texts, OF_TRUST_DOMAIN, NULL, -1)
    put(texts, OF_WORKLOAD, NULL, -1)
    if identity is None or len(identity) <= SCHEME:
        return
    text, length = <const char*>identity + SCHEME, len(identity) - SCHEME
    put(texts, OF_IDENTITY, text, length)
    slash = <const char*>memchr(text, c"/", length)
    if slash != NULL:
        put(texts, OF_TRUST_DOMAIN, text, slash - text)
        put(texts, OF_WORKLOAD, slash + 1, text + length - slash - 1)


cdef void put_request(Text* texts, Head head, const char* text) noexcept:
    cdef Py_ssize_t at = 0
    put(texts, OF_HOST, NULL, -1)
    put(texts, OF_METHOD, NULL, -1)
    put(texts, OF_PATH, NULL, -1)
    if head is None:
        return
    put(texts, OF_HOST, text + head.authority.at, head.authority.length)
    put(texts, OF_METHOD, text + head.method_text.at, head.method_text.length)
    while at < head.path.length and text[head.path.at + at] != c"?" and text[head.path.at + at] != c"#":
        at += 1
    put(texts, OF_PATH, text + head.path.at, at)


cdef int address_of(const char* text, Py_ssize_t length, uint8_t* octets) noexcept:
    """The address in `ip:port`, IPv4 as IPv6 has it; zeros if it is none."""
    cdef char[LONGEST] ip
    while length and text[length - 1] != c":":
        length -= 1
    length -= 1
    if length > 1 and text[0] == c"[" and text[length - 1] == c"]":
        text, length = text + 1, length - 2
    if not 0 < length < LONGEST:
        return 0
    memcpy(ip, text, length)
    ip[length] = 0
    if inet_pton(AF_INET, ip, octets + 12) == 1:
        octets[10] = octets[11] = 0xFF
    elif inet_pton(AF_INET6, ip, octets) != 1:
        memset(octets, 0, ADDRESS)
    return 0
