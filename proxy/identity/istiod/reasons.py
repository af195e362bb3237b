"""Why istiod gave no certificate, in words that say what to do about it. Pure.

istiod itself says little on purpose: a token of the wrong audience, one that has expired and a cluster it does not know
are all "request authenticate failure". What we know of the token tells them apart.
"""

import socket
import ssl

from proxy.identity.istiod.call import INVALID_ARGUMENT, UNAUTHENTICATED, UNIMPLEMENTED, Refused
from proxy.identity.istiod.token import AUDIENCE, Token
from proxy.wire.tls.mesh import reason_of

MOUNT_TOKEN = f"mount a projected serviceAccountToken of audience {AUDIENCE} there"
MOUNT_ROOT = "mount the ConfigMap istio-ca-root-cert of this namespace there"
_NOT_TLS = frozenset({"WRONG_VERSION_NUMBER", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE", "HTTP_REQUEST"})
_HOSTNAME_MISMATCH, _IP_MISMATCH = 62, 64
_NOT_YET_VALID, _EXPIRED = 9, 10
"""X509_V_ERR_*, openssl/x509_vfy.h."""


def of_token_file(path: str, why: object) -> str:
    """The file cannot be read, or holds no token that will do."""
    return f"the token {path}: {why}: {MOUNT_TOKEN}"


def of_root_file(path: str, why: object) -> str:
    """The file cannot be read, or holds no certificate."""
    return f"the root {path}: {why}: {MOUNT_ROOT}"


def of_connecting(fault: OSError) -> str:
    """No TCP connection."""
    if isinstance(fault, socket.gaierror):
        return f"its name is not known: is istiod installed, and is --ca its Service ({reason_of(fault)})?"
    return f"no connection to it: {reason_of(fault)}: does istiod run, and does a NetworkPolicy let us reach it?"


def of_handshake(fault: OSError, root: str, name: str) -> str:
    """TLS failed: the certificate is not right for us, or there is no TLS."""
    if isinstance(fault, ssl.SSLCertVerificationError):
        return _of_verification(fault, root, name)
    if isinstance(fault, ssl.SSLError) and fault.reason in _NOT_TLS:
        return f"TLS: {reason_of(fault)}: istiod's port for this is 15012"
    return f"TLS: {reason_of(fault)}"


def of_refusal(refused: Refused, token: Token, cluster: str, now: float) -> str:
    """istiod answered, and not with a certificate."""
    if refused.code == UNAUTHENTICATED:
        wrong = token.wrong(now)
        remedy = MOUNT_TOKEN if wrong else "its log says why; --cluster-id has to be what it calls this cluster"
        return f"it refuses our token ({refused}): {wrong or f'we say that we are of cluster {cluster}'}: {remedy}"
    remedies = {
        UNIMPLEMENTED: ": that is no istiod, or one that does not sign (ENABLE_CA_SERVER)",
        INVALID_ARGUMENT: ": see --ca-ttl if it is the time that it does not like (MAX_WORKLOAD_CERT_TTL)",
    }
    return f"it signs nothing ({refused}){remedies.get(refused.code, '')}"


def _of_verification(fault: ssl.SSLCertVerificationError, root: str, name: str) -> str:
    """An address instead of a name, a clock that is wrong, or a root that is not of istiod's CA: the usual one."""
    if fault.verify_code in (_HOSTNAME_MISMATCH, _IP_MISMATCH):
        return f"TLS: its certificate is not for {name}: --ca has to be istiod's Service, istiod.istio-system.svc:15012"
    if fault.verify_code in (_NOT_YET_VALID, _EXPIRED):
        return f"TLS: {reason_of(fault)}: is the time here right?"
    return (
        f"TLS: its certificate does not verify against {root} ({fault.verify_message}): "
        f"that is not the root of its CA: {MOUNT_ROOT}"
    )
