"""The header that the PROXY protocol begins a connection with: who the client is, and what it asked for.

HAProxy's proxy-protocol.txt, versions 1 and 2, as Envoy writes them (proxy_proto_header.cc). Addresses of which one is
no IP, or that are of two families, cannot be said: then the header says that it does not know.
"""

from ipaddress import IPv4Address, IPv6Address, ip_address

_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
_LOCAL, _PROXIED = b"\x20", b"\x21"
_TCP = {4: b"\x11", 6: b"\x21"}

_Place = tuple[IPv4Address | IPv6Address, int]


def preamble(version: int, client: bytes, asked: bytes, endpoint: bytes) -> bytes:
    """All three are `ip:port`, or `[ip]:port`; `asked` may be a name: then the endpoint stands for it."""
    source, target = _place(client), _place(asked)
    if source and (target is None or target[0].version != source[0].version):
        target = _place(endpoint)
    if source is None or target is None or target[0].version != source[0].version:
        return b"PROXY UNKNOWN\r\n" if version == 1 else _SIGNATURE + _LOCAL + b"\x00\x00\x00"
    (source_ip, source_port), (target_ip, target_port) = source, target
    if version == 1:
        return f"PROXY TCP{source_ip.version} {source_ip} {target_ip} {source_port} {target_port}\r\n".encode()
    ports = source_port.to_bytes(2) + target_port.to_bytes(2)
    body = source_ip.packed + target_ip.packed + ports
    return _SIGNATURE + _PROXIED + _TCP[source_ip.version] + len(body).to_bytes(2) + body


def _place(text: bytes) -> _Place | None:
    host, _, port = text.decode("latin-1").rpartition(":")
    try:
        found = ip_address(host.strip("[]"))
        return (getattr(found, "ipv4_mapped", None) or found), int(port)
    except ValueError:
        return None
