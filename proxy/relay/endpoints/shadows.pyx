"""AuthorizationPolicies that have no say in who gets in: those with action AUDIT, and those that are tried out
(`istio.io/dry-run`). They are asked before the others are, as Envoy's shadow rules, counted, and told in the log.
"""


cdef class Shadows:
    """`forms`: those of a snapshot's ClusterForm. `claims`: those that have a number already."""

    def __init__(self, dict forms, int port, list claims):
        self.audit = Gate(forms["audit"], port, claims) if "audit" in forms else None
        self.claims = claims if self.audit is None else self.audit.claims
        self.dry_run = Gate(forms["dry_run"], port, self.claims) if "dry_run" in forms else None
        self.claims = self.claims if self.dry_run is None else self.dry_run.claims

    cdef bytes told(self, Head head, Stream client, Verdict token, Counted counted):
        """What they say of a request, for the log; None: nothing. `head` is None for a connection that carries none."""
        cdef list found = []
        cdef bytes rule
        if self.audit is not None:
            rule = self.audit.refuses(head, client, token)
            if rule is not None:
                counted.shadow(b"audited", rule)
                found.append(b"audited:" + rule)
        if self.dry_run is not None:
            rule = self.dry_run.refuses(head, client, token)
            result = b"shadow_allowed" if rule is None else b"shadow_denied"
            counted.shadow(result, rule or b"")
            found.append(result if rule is None else result + b":" + rule)
        return b",".join(found) if found else None
