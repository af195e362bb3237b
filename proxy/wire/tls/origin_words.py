"""Why TLS to an endpoint failed, in words: those of mesh TLS, but for what is said of TLS 1.3 and of h2 alone there."""

import ssl

from proxy.wire.tls import mesh

_REASONS = {
    **dict.fromkeys(
        ("UNSUPPORTED_PROTOCOL", "NO_PROTOCOLS_AVAILABLE", "WRONG_SSL_VERSION", "TLSV1_ALERT_PROTOCOL_VERSION"),
        "it speaks neither TLS 1.2 nor TLS 1.3",
    ),
    "TLSV1_ALERT_NO_APPLICATION_PROTOCOL": "it speaks neither h2 nor http/1.1 (ALPN)",
    "TLSV1_UNRECOGNIZED_NAME": "it has no certificate for this name (sni)",
}


def reason_of(fault: OSError) -> str:
    """For the log and for `TLS_error:` in an answer's details."""
    return _REASONS.get(getattr(fault, "reason", "")) or mesh.reason_of(fault)


def is_refusal(fault: OSError) -> bool:
    """Whether the peer says by an alert that it does not deal with us: what was sent to it, it has not read."""
    return isinstance(fault, ssl.SSLError) and "_ALERT_" in getattr(fault, "reason", "")
