"""The token that says to istiod who we are: a ServiceAccount's, for istiod's CA alone, which the kubelet renews.

Read, not verified: that is istiod's part. What stands in it tells why istiod may refuse it (RFC 7519: `aud`, `exp`,
`sub`). It is shown nowhere.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from proxy.identity.certificates import stamp

AUDIENCE = "istio-ca"
"""What istiod wants as audience unless its TOKEN_AUDIENCES says otherwise."""
LONGEST = 16 * 1024
"""It has to fit into a header."""
_SUBJECT = "system:serviceaccount:"


@dataclass(frozen=True, slots=True)
class Token:
    """`claims` are empty where it is no JWT."""

    text: str = field(repr=False)
    claims: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def account(self) -> str:
        """`ns/NAMESPACE/sa/ACCOUNT`, as a SPIFFE ID of the mesh has it; "" if it does not say."""
        namespace, _, name = str(self.claims.get("sub", "")).removeprefix(_SUBJECT).partition(":")
        return f"ns/{namespace}/sa/{name}" if namespace and name else ""

    def wrong(self, now: float) -> str:
        """What istiod will not like about it, at `now` (seconds since 1970); "" where nothing is to be seen."""
        audiences = self.claims.get("aud", ())
        audiences = [audiences] if isinstance(audiences, str) else list(audiences)
        if not self.claims:
            return "it is not a token of Kubernetes"
        if AUDIENCE not in audiences:
            return f"its audience is {', '.join(map(str, audiences)) or 'not set'}, not {AUDIENCE}"
        expires = self.claims.get("exp")
        if isinstance(expires, (int, float)) and now > expires:
            return f"it expired at {stamp(expires)}: nobody renews it"
        return ""


def read(content: bytes | str) -> Token:
    """The token that a file holds (text: why it cannot be read). Raises ValueError saying what is wrong."""
    if isinstance(content, str):
        raise ValueError(content)
    text = content.decode("ascii", "replace").strip()
    if not text or len(text) > LONGEST or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("holds no token")
    return Token(text, _claims(text))


def _claims(text: str) -> Mapping[str, Any]:
    middle = text.split(".")[1] if text.count(".") == 2 else ""
    try:
        found = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
    except (ValueError, binascii.Error):
        return {}
    return found if isinstance(found, dict) else {}
