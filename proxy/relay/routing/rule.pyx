"""What is done with a request that a rule of a route is for: made once, with the plan, so that a request finds it done.

A backend has the rule's edits in its own, for its come after the rule's. What an exchange has begun with it keeps,
whatever the plan is by then.
"""

from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free

from proxy.policy.splitting cimport backend_of
from proxy.relay.routing.effects cimport effects_of
from proxy.relay.routing.retry_rule cimport read_retry_rule

from proxy.policy.sessions import SessionRule
from proxy.wire.http.edits import may_edit

cdef frozenset HOSTS = frozenset((b"host", b":authority"))


cdef class Backend:
    """One of a rule's, as `form` (BackendForm) says; `rule`: the form of that. Raises ValueError."""

    def __init__(self, dict rule, dict form):
        self.cluster, self.status = form["cluster"], form["status"]
        self.request = edits_of([rule.get("request"), form.get("request")], [rule.get("rewrite"), form.get("rewrite")])
        self.answer = edits_of([rule.get("response"), form.get("response"), own_header(rule)], [])
        for rewrite in (rule.get("rewrite"), form.get("rewrite")):
            if rewrite is not None and "path" in rewrite:
                self.path = PathChange(rewrite["path"])
        self.redirect = Redirect(form["redirect"]) if "redirect" in form else None


cdef class Rule:
    """As a snapshot's RouteRuleForm says."""

    def __init__(self, dict form):
        self.form, self.name, self.problem = form, form["name"].encode(), ""
        self.backends, self.direct = [], form.get("direct")
        self.effects = effects_of(form)
        self.sessions = sessions_of(form)
        self.tables = {}
        self.set_weights([each["weight"] for each in form["backends"]])
        if "retry" in form:
            self.set_retries(form["retry"])
        try:
            self.backends = [Backend(form, each) for each in form["backends"]]
            self.answer = edits_of([form.get("response")], [])
            self.redirect = Redirect(form["redirect"]) if "redirect" in form else None
        except ValueError as error:
            self.problem, self.answer = str(error), None

    def __dealloc__(self):
        free(self.weights)

    def set_weights(self, list weights) -> None:
        cdef int at
        self.weights = <int64_t*>calloc(max(1, len(weights)), sizeof(int64_t))
        if self.weights == NULL:
            raise MemoryError
        for at in range(len(weights)):
            self.weights[at] = weights[at]
        self.split.weights, self.split.count, self.split.total = self.weights, len(weights), sum(weights)

    def set_retries(self, dict form) -> None:
        """Instead of those of the cluster that the request goes to."""
        self.retries = True
        read_retry_rule(&self.retry_rule, form)
        self.timeout = form["timeout_ms"] * 1_000_000

    cdef Backend pick(self, int64_t chance):
        """The backend that gets a request, by a number of 32 bits; None: none of them gets any."""
        cdef int at = backend_of(&self.split, chance)
        return None if at < 0 else <Backend>self.backends[at]


cdef object sessions_of(dict rule):
    """How requests of one session are told; None: there are none."""
    cdef dict form = rule.get("persistence")
    if form is None:
        return None
    return SessionRule(
        name=form["name"].lower().encode() if form["header"] else form["name"].encode(), header=form["header"],
        lifetime_s=form["lifetime_s"], absolute_s=form["absolute_s"], idle_s=form["idle_s"],
        paths=tuple([each.encode() for each in form["paths"]]))


cdef dict own_header(dict rule):
    """What no endpoint may say, since we do: the header that carries a session. A HeaderEditsForm, or None."""
    cdef dict form = rule.get("persistence")
    return {"remove": [form["name"].lower().encode()]} if form is not None and form["header"] else None


cdef Edits edits_of(list forms, list rewrites):
    """What these HeaderEditsForms do, one after the other; None: nothing. A Host that is set is a rewrite, and nothing
    else can be done to it, as with Istio; `rewrites` may name one too."""
    cdef set gone = set()
    cdef list lines = []
    cdef bytes host = None
    for form in forms:
        form = form or {}
        put = [tuple(each) for each in form.get("set", ())]
        host = next((value for name, value in put if name in HOSTS), host)
        put = [each for each in put if may_edit(each[0])]
        taken = {*filter(may_edit, form.get("remove", ())), *(name for name, _ in put)}
        gone |= taken
        added = [tuple(each) for each in form.get("add", ()) if may_edit(each[0])]
        lines = [each for each in lines if each[0] not in taken] + put + added
    host = next((rewrite["host"].encode() for rewrite in reversed(rewrites) if rewrite and rewrite.get("host")), host)
    return Edits(gone, lines, host) if gone or lines or host is not None else None
