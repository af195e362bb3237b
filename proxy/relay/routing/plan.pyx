"""Where requests for a frontend go: its routes, as a snapshot's RoutingForm has them, over what a request has.

Decisions are proxy/policy/matching.py's; here they are given the octets, without an object for any. A plan holds the
names of clusters, not clusters, which change under it.
"""

from libc.stdlib cimport calloc, free
from libc.string cimport memchr, memcmp

from proxy.policy cimport matching as policy
from proxy.policy.facts cimport (
    ABOUT_AUTHORITY, ABOUT_CLAIM, ABOUT_HEADER, ABOUT_METHOD, ABOUT_NAMESPACE, ABOUT_PATH, ABOUT_QUERY, ABOUT_SCHEME,
    COMPARE_IS, COMPARE_IS_THERE, COMPARE_LIKE, COMPARE_SEGMENTS, COMPARE_STARTS, WHOLE_QUERY, Text,
)
from proxy.relay.routing.patterns cimport Pattern

from proxy.relay.routing.index import beginning, indexed

cdef enum:
    SCHEME = 9                  # len("spiffe://")

cdef dict PARTS = {
    "path": ABOUT_PATH, "method": ABOUT_METHOD, "authority": ABOUT_AUTHORITY, "scheme": ABOUT_SCHEME,
    "namespace": ABOUT_NAMESPACE, "query": ABOUT_QUERY, "header": ABOUT_HEADER, "claim": ABOUT_CLAIM,
}
cdef dict OPS = {
    "is": COMPARE_IS, "starts": COMPARE_STARTS, "segments": COMPARE_SEGMENTS, "like": COMPARE_LIKE,
    "is_there": COMPARE_IS_THERE,
}
cdef frozenset LATE = frozenset(("query", "header"))


cdef void* room(size_t count, size_t size) except NULL:
    cdef void* found = calloc(count or 1, size)
    if found == NULL:
        raise MemoryError
    return found


def in_order(dict condition) -> tuple:
    """What is quickly looked at comes first, the path before all of it."""
    return condition["part"] in LATE, condition["part"] != "path", condition["op"] == "like"


cdef class Plan:
    """One frontend's. `claims`: those that its access rules ask for, by number."""

    def __init__(self, dict form, list claims=None):
        cdef list found = [sorted(each["conditions"], key=in_order) for each in form["matches"]]
        cdef list conditions = [each for every in found for each in every]
        self.kept, self.patterns = [], []
        self.rules = [Rule(each) for each in form["rules"]]
        self.headers = [each.encode() for each in dict.fromkeys(
            each["name"].lower() for each in conditions if each["part"] == "header")]
        self.claims = list(dict.fromkeys(
            [*(claims or ()), *(each["name"] for each in conditions if each["part"] == "claim")]))
        self.fill_conditions(conditions)
        self.fill_matches([each["rule"] for each in form["matches"]], found)
        self.fill_index(indexed([self.beginning(conditions, each) for each in range(len(found))]))
        self.lines = Lines(self.headers)
        self.routing.matches, self.routing.count = self.matches, len(found)
        self.routing.conditions = self.conditions

    def __dealloc__(self):
        free(self.matches)
        free(self.conditions)
        free(self.buckets)
        free(self.members)

    def fill_matches(self, list rules, list conditions) -> None:
        cdef int at, first = 0
        self.matches = <Match*>room(len(rules), sizeof(Match))
        for at in range(len(rules)):
            self.matches[at].rule, self.matches[at].first = rules[at], first
            self.matches[at].count = len(conditions[at])
            self.matches[at].early = sum([each["part"] not in LATE for each in conditions[at]])
            first += self.matches[at].count

    def beginning(self, list forms, int match) -> bytes | None:
        """What the paths that the match is for begin with, if one of its conditions says so."""
        cdef int at
        cdef Condition* condition
        for at in range(self.matches[match].first, self.matches[match].first + self.matches[match].early):
            condition = &self.conditions[at]
            if condition.about == ABOUT_PATH and not condition.negated and not condition.fold:
                found = beginning(forms[at]["op"], (<const char*>condition.text)[:condition.length])
                if found is not None:
                    return found
        return None

    def fill_index(self, object index) -> None:
        cdef int at
        self.buckets = <Bucket*>room(len(index.buckets), sizeof(Bucket))
        self.members = <int32_t*>room(len(index.members), sizeof(int32_t))
        for at in range(len(index.buckets)):
            self.buckets[at].key, self.buckets[at].first, self.buckets[at].count = index.buckets[at]
        for at in range(len(index.members)):
            self.members[at] = index.members[at]
        self.routing.buckets, self.routing.mask = self.buckets, len(index.buckets) - 1
        self.routing.members, self.routing.anywhere = self.members, index.anywhere

    def fill_conditions(self, list forms) -> None:
        cdef int at
        self.conditions = <Condition*>room(len(forms), sizeof(Condition))
        for at in range(len(forms)):
            self.fill(&self.conditions[at], forms[at])

    cdef int fill(self, Condition* condition, dict form) except -1:
        cdef bytes text = form["text"].encode(), name = form["name"].encode()
        cdef Pattern pattern = None
        condition.about, condition.compare = PARTS[form["part"]], OPS[form["op"]]
        condition.negated, condition.fold = form["negated"], form["fold"]
        if condition.compare == COMPARE_LIKE:
            pattern = Pattern(form["text"], form["fold"])
            text = pattern.begins
        elif condition.compare == COMPARE_SEGMENTS:
            text = text.rstrip(b"/")
        if condition.fold:
            text = text.lower()
        if condition.about == ABOUT_HEADER:
            condition.header = self.headers.index(name.lower())
        elif condition.about == ABOUT_CLAIM:
            condition.header = self.claims.index(form["name"])
        self.kept += [text, name]
        self.patterns.append(pattern)
        condition.text, condition.length = text, len(text)
        condition.name, condition.name_length = name, len(name)
        return 0

    cdef Rule find(
            self, Head head, const char* text, bytes identity, list added, const Line* claims, int claim_count):
        """The rule that the request is for whose head is at `text`; None: there is none. `identity` is the client's,
        `added` are fields that its head goes on with besides, `claims` those of its token, by number."""
        cdef Presented asked
        cdef Walk walk
        cdef int at
        put_request(asked.texts, head, text)
        put_namespace(&asked.texts[<int>ABOUT_NAMESPACE], identity)
        asked.lines, asked.line_count = self.lines.lines, -1
        asked.claims, asked.claim_count = claims, claim_count
        policy.begin(&self.routing, &asked, &walk)
        at = policy.candidate(&self.routing, &asked, &walk)
        while at >= 0:
            if asked.line_count < 0 and self.matches[at].early < self.matches[at].count:
                asked.line_count = self.lines.find(head, text, added)
            if policy.rest_holds(&self.routing, &asked, at) and self.like(at, &asked):
                return <Rule>self.rules[self.matches[at].rule]
            at = policy.candidate(&self.routing, &asked, &walk)
        return None

    cdef bint like(self, int match, const Presented* asked) except -1:
        """Whether the regular expressions of the match hold, too."""
        cdef int at
        for at in range(self.matches[match].first, self.matches[match].first + self.matches[match].count):
            if self.conditions[at].compare == COMPARE_LIKE and not self.like_one(at, asked):
                return False
        return True

    cdef bint like_one(self, int at, const Presented* asked) except -1:
        cdef Pattern pattern = self.patterns[at]
        cdef Condition* condition = &self.conditions[at]
        cdef Text text
        cdef int begin
        if pattern.compiled is None:
            return False
        if condition.about == ABOUT_HEADER:
            return like_line(pattern, condition, asked.lines, asked.line_count)
        if condition.about == ABOUT_CLAIM:
            return like_line(pattern, condition, asked.claims, asked.claim_count)
        if condition.about == ABOUT_QUERY:
            text = asked.texts[<int>WHOLE_QUERY]
            begin = policy.parameter(&self.routing, at, text.at, text.length)
            text.length = policy.end_of(text.at, begin, text.length) - begin if begin >= 0 else -1
            text.at += max(begin, 0)
        else:
            text = asked.texts[condition.about]
        if text.length < 0:
            return condition.negated and not pattern.likes(b"", 0)
        return pattern.likes(text.at, text.length) != condition.negated


cdef bint like_line(Pattern pattern, const Condition* condition, const Line* lines, int count) except -1:
    """Whether one line of the header, or one value of the claim, is; if negated, none of them, nor nothing."""
    cdef int at
    cdef bint there = False
    for at in range(count):
        if lines[at].header == condition.header:
            there = True
            if pattern.likes(lines[at].at, lines[at].length):
                return not condition.negated
    return condition.negated and (there or not pattern.likes(b"", 0))


cdef void put(Text* text, const char* at, Py_ssize_t length) noexcept:
    text.at, text.length = <const unsigned char*>at, <int>length


cdef void put_request(Text* texts, Head head, const char* text) noexcept:
    """All requests come in clear text, as far as we can see: their scheme is http."""
    cdef const char* path = text + head.path.at
    cdef const char* mark = <const char*>memchr(path, c"?", head.path.length)
    cdef Py_ssize_t length = head.path.length if mark == NULL else mark - path
    put(&texts[<int>ABOUT_PATH], path, length)
    put(&texts[<int>WHOLE_QUERY], path + min(length + 1, head.path.length), max(head.path.length - length - 1, 0))
    put(&texts[<int>ABOUT_METHOD], text + head.method_text.at, head.method_text.length)
    put(&texts[<int>ABOUT_AUTHORITY], text + head.authority.at, head.authority.length)
    put(&texts[<int>ABOUT_SCHEME], b"http", 4)


cdef void put_namespace(Text* text, bytes identity) noexcept:
    """Of spiffe://TRUST_DOMAIN/ns/NAMESPACE/sa/SERVICE_ACCOUNT; absent if it is none."""
    cdef const char* at
    cdef const char* end
    cdef const char* slash
    put(text, NULL, -1)
    if identity is None or len(identity) <= SCHEME:
        return
    at, end = identity, <const char*>identity + len(identity)
    at = <const char*>memchr(at + SCHEME, c"/", len(identity) - SCHEME)
    if at == NULL or end - at < 4 or memcmp(at, b"/ns/", 4) != 0:
        return
    at += 4
    slash = <const char*>memchr(at, c"/", end - at)
    if slash != NULL:
        put(text, at, slash - at)
