"""From a RequestAuthentication's rules to the form that workers read. Pure."""

from collections.abc import Iterator

from proxy.ipc.snapshot import TokenRuleForm
from proxy.mesh.traffic.tokens import JwtRule

_DEFAULT_PLACES = [("header", "authorization", "Bearer "), ("param", "access_token", "")]
"""Where a token is if a rule does not say (jwt_authn's default)."""


def token_form(rule: JwtRule) -> TokenRuleForm:
    """One of `jwtRules`."""
    return TokenRuleForm(
        issuer=rule.issuer,
        audiences=list(rule.audiences),
        keys=rule.keys.name,
        fetched=not rule.jwks,
        places=list(_places(rule)) or _DEFAULT_PLACES,
        payload=rule.output_payload_to_header,
        claims=[(each.header, each.claim) for each in rule.output_claim_to_headers],
        forward=rule.forward_original_token,
        spaced=list(rule.space_delimited_claims),
        required=rule.required,
    )


def _places(rule: JwtRule) -> Iterator[tuple[str, str, str]]:
    for header in rule.from_headers:
        yield "header", header.name, header.prefix
    for name in rule.from_params:
        yield "param", name, ""
    for name in rule.from_cookies:
        yield "cookie", name, ""
