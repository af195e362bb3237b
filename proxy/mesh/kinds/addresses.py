"""IP addresses as objects write them, and host names of the cluster."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

CLUSTER_DOMAIN = "svc.cluster.local"


def is_ip(address: str) -> bool:
    """Whether `address` is an IP address without a scope."""
    try:
        ip_address(address)
    except ValueError:
        return False
    return "%" not in address


def unusable(address: IPv4Address | IPv6Address) -> str:
    """Why an IP address cannot be that of an endpoint, or ""."""
    odd = address.is_unspecified or address.is_multicast or address.is_link_local
    return f"{address} cannot be the address of an endpoint" if odd else ""
