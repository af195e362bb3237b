"""The two messages of istiod's certificate service, as protobuf has them on the wire.

Fields: istio/api, security/v1alpha1/ca.proto (`IstioCertificateRequest`, `IstioCertificateResponse`). Encoding:
protobuf.dev, "Encoding": a tag is `number << 3 | type`, a varint has seven bits in an octet, the lowest first.
"""

from collections.abc import Iterator

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
_FIXED = {FIXED64: 8, FIXED32: 4}
LONGEST_VARINT = 10

CSR, VALIDITY_DURATION = 1, 3
CERT_CHAIN = 1


def request(csr: bytes, seconds: int) -> bytes:
    """An IstioCertificateRequest: a CSR in PEM, and how long the certificate shall be valid (0: istiod's default)."""
    duration = _varint(VALIDITY_DURATION << 3 | VARINT) + _varint(seconds) if seconds else b""
    return _varint(CSR << 3 | LENGTH) + _varint(len(csr)) + csr + duration


def chain_of(response: bytes) -> list[bytes]:
    """`cert_chain` of an IstioCertificateResponse: the leaf first, the roots last, in PEM. ValueError if it is none."""
    return [content for number, content in _fields(response) if number == CERT_CHAIN]


def _varint(value: int) -> bytes:
    octets = bytearray()
    while value > 127:
        octets.append(value & 127 | 128)
        value >>= 7
    return bytes([*octets, value])


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and content of those that have a length; the others are skipped, as are unknown ones by who asks."""
    at = 0
    while at < len(message):
        tag, at = _read_varint(message, at)
        number, kind = tag >> 3, tag & 7
        if kind == VARINT:
            at = _read_varint(message, at)[1]
        elif kind == LENGTH:
            length, begin = _read_varint(message, at)
            at = _bounded(message, begin + length)
            yield number, message[begin:at]
        elif kind in _FIXED:
            at = _bounded(message, at + _FIXED[kind])
        else:
            raise ValueError(f"field {number} has wire type {kind}")


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    """Its value, and where it ends."""
    value = 0
    for place, octet in enumerate(message[at : at + LONGEST_VARINT]):
        value |= (octet & 127) << 7 * place
        if octet < 128:
            return value, at + place + 1
    raise ValueError("a number is cut short")


def _bounded(message: bytes, end: int) -> int:
    if end > len(message):
        raise ValueError("a field is cut short")
    return end
