"""HTTP as octets: heads, bodies, names, authorities (RFC 9110, 9112). One strict gate for all messages."""
