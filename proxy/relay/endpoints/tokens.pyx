"""What requests' tokens are worth: RequestAuthentications of one cluster over a request, as Envoy's jwt_authn has it.

A request without a token goes on as one that nobody has vouched for; who gets in is what AuthorizationPolicies say. Of
several rules one must accept all that are at its places. What a token is worth is proxy/policy/tokens' to say, once:
verdicts are kept, for no longer than the token is good for.
"""

from collections import OrderedDict

from proxy.policy.tokens import claims as policy_claims
from proxy.policy.tokens import token as policy
from proxy.relay.endpoints.places cimport Place, has, take_out_alike
from proxy.relay.endpoints.verdict cimport NOTHING, joined, refused
from proxy.wire.http.head cimport M_OPTIONS

MOST_KEPT = 8192
LARGEST_KEPT = 8 << 20
"""Verdicts that a worker keeps, and octets that they may take."""
cdef double ACCEPTED_S = 300.0
cdef double REFUSED_S = 5.0


cdef class TokenCache:
    """The verdicts of a worker; the one that was not asked for longest goes first."""

    def __init__(self):
        self.known = OrderedDict()

    def __len__(self) -> int:
        return len(self.known)

    def clear(self) -> None:
        self.known.clear()
        self.size = 0

    cdef Verdict get(self, tuple key, double now):
        cdef Verdict found = self.known.get(key)
        if found is None:
            return None
        if now >= found.until:
            del self.known[key]
            self.size -= found.size
            return None
        self.known.move_to_end(key)
        return found

    cdef int put(self, tuple key, Verdict verdict) except -1:
        cdef Verdict oldest
        verdict.size += len(key[1])
        self.known[key] = verdict
        self.size += verdict.size
        while self.size > LARGEST_KEPT or len(self.known) > MOST_KEPT:
            _, oldest = self.known.popitem(last=False)
            self.size -= oldest.size
        return 0


cdef class TokenRule:
    """A TokenRuleForm; `asked`: the claims that access rules ask for."""

    def __init__(self, dict form, list asked):
        self.expected = policy.Expected(form["issuer"], frozenset(map(policy.plain_audience, form["audiences"])))
        self.source, self.fetched, self.keys = form["keys"], form["fetched"], ()
        self.places = [Place(*each) for each in form["places"]]
        self.forward, self.required, self.payload = form["forward"], form["required"], form["payload"].encode()
        self.headers = [(header.encode(), claim) for header, claim in form["claims"]]
        self.spaced, self.asked = form["spaced"], asked

    cdef list found(self, Head head, const char* text):
        """The tokens at its places, each with its place."""
        cdef Place place
        cdef list found = []
        for place in self.places:
            place.find(head, text, found)
        return found

    cdef Verdict verify(self, bytes text, double now):
        cdef double until = now + ACCEPTED_S
        try:
            token = policy.read(text)
            policy.verify(token, self.expected, self.keys, now)
        except policy.Refused as fault:
            return refused(fault.text, fault.status, now + REFUSED_S)
        if token.expires is not None:
            until = min(until, token.expires)
        said = policy_claims.spaced(token.claims, self.spaced)
        values = [
            (number, value.encode("utf-8", "surrogatepass"))
            for number, key in enumerate(self.asked) for value in policy_claims.texts(said, key)
        ]
        return Verdict(values, self.told(token), until)

    cdef list told(self, object token):
        """The headers that endpoints are told it in."""
        cdef list found = [(self.payload, token.payload)] if self.payload else []
        for header, claim in self.headers:
            value = policy_claims.header_value(token.claims, claim)
            if value is not None:
                found.append((header, value))
        return found


cdef class Tokens:
    """Those of one cluster. `form`: a list of TokenRuleForm; `asked`: the claims that its access rules ask for, by
    number."""

    def __init__(self, list form, list asked, TokenCache cache):
        self.form, self.asked, self.cache = form, asked, cache
        self.rules = [TokenRule(each, asked) for each in form]
        self.outputs = list(dict.fromkeys(
            name.encode() for each in form for name in (each["payload"], *dict(each["claims"])) if name))

    def same(self, list form, list asked) -> bool:
        """Whether they would say the same."""
        return self.form == form and self.asked == asked

    def take_keys(self, dict keys) -> None:
        """What tokens are verified with from now on, by source."""
        cdef TokenRule rule
        for rule in self.rules:
            rule.keys = keys.get(rule.source, ())

    cdef Verdict judge(self, Head head, Stream client, double now):
        """What the request's tokens are worth. What may not go on of them, or what a client says in the place of what
        they say, is taken out of it. `now`: s since 1970."""
        cdef Verdict verdict
        for name in self.outputs:
            take_out_alike(head, client.buffer, name)
        if head.method == M_OPTIONS and is_preflight(head, client.buffer):
            return NOTHING
        verdict = self.judge_by_rules(head, client, now)
        if verdict.refusal is not None:
            self.cache.refused += 1
        elif verdict is not NOTHING:
            self.cache.taken += 1
        return verdict

    cdef Verdict judge_by_rules(self, Head head, Stream client, double now):
        cdef TokenRule rule
        cdef Verdict verdict, refusal = None
        cdef Place place
        cdef list found
        cdef bint missing = False
        for rule in self.rules:
            found = rule.found(head, client.buffer)
            if not found:
                missing |= rule.required
                continue
            verdict = self.judge_all(rule, found, now)
            if verdict.refusal is None:
                if not rule.forward:
                    for place, _ in found:
                        place.take_out(head, client)
                return verdict
            if refusal is None or refusal.refusal == policy.ISSUER_UNKNOWN:
                refusal = verdict
        if refusal is not None:
            return refusal
        return refused(policy.MISSING, policy.UNAUTHORIZED, 0.0) if missing else NOTHING

    cdef Verdict judge_all(self, TokenRule rule, list found, double now):
        """All that are at its places must be good."""
        cdef Verdict verdict
        cdef list verdicts = []
        for _, text in found:
            key = (rule, text)
            verdict = self.cache.get(key, now)
            if verdict is None:
                verdict = rule.verify(text, now)
                self.cache.missed += rule.fetched and verdict.refusal == policy.KEY_UNKNOWN
                self.cache.put(key, verdict)
            if verdict.refusal is not None:
                return verdict
            verdicts.append(verdict)
        return joined(verdicts)


cdef bint is_preflight(Head head, const char* text) noexcept:
    """Whether a browser asks what it may ask (CORS): it sends no token with that."""
    return has(head, text, b"origin") and has(head, text, b"access-control-request-method")
