"""What a RequestAuthentication asks for (security/v1beta1/request_authentication.proto)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import NamedTuple

from proxy.mesh.traffic.fields import named

DEFAULT_TIMEOUT_MS = 5000


@dataclass(frozen=True, slots=True)
class FromHeader:
    """One of `fromHeaders`: the header, in lower case, and what stands before the token in its value."""

    name: str
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class ClaimToHeader:
    """One of `outputClaimToHeaders`: the header, in lower case, and the path of the claim, with dots."""

    header: str
    claim: str


class KeySource(NamedTuple):
    """Where an issuer's keys are: in the policy (`jwks`), at `uri`, or where the issuer says (OpenID discovery)."""

    jwks: str = ""
    uri: str = ""
    issuer: str = ""

    @property
    def name(self) -> str:
        """What it is called where it travels: the same for the same, whichever rule names it."""
        if self.jwks:
            return f"inline {hashlib.sha256(self.jwks.encode()).hexdigest()[:32]}"
        return self.uri or f"issuer {self.issuer}"


@dataclass(frozen=True, slots=True)
class JwtRule:
    """One of `jwtRules`. Without a place for tokens they come as `Authorization: Bearer` or `?access_token=`.

    `required` (`presence: REQUIRED`): a request without a token is refused. `timeout_ms`: how long fetching keys may
    take.
    """

    issuer: str = ""
    audiences: tuple[str, ...] = ()
    jwks: str = ""
    jwks_uri: str = ""
    from_headers: tuple[FromHeader, ...] = ()
    from_params: tuple[str, ...] = ()
    from_cookies: tuple[str, ...] = ()
    output_payload_to_header: str = ""
    output_claim_to_headers: tuple[ClaimToHeader, ...] = ()
    forward_original_token: bool = False
    space_delimited_claims: tuple[str, ...] = ()
    timeout_ms: int = DEFAULT_TIMEOUT_MS
    required: bool = named("presence", False)

    @property
    def keys(self) -> KeySource:
        """Where the keys are that its tokens are verified with."""
        if self.jwks or self.jwks_uri:
            return KeySource(self.jwks, "" if self.jwks else self.jwks_uri)
        return KeySource(issuer=self.issuer)
