"""Another path for a request, and where a client is sent instead.

Paths are given and come back with their query, which is never changed. A prefix is replaced as Istio does it for the
Gateway API: by whole segments, without the slash that it may end in, and what is left begins with one.
"""

import re2

from proxy.relay.routing.patterns cimport options
from proxy.wire.http.octets cimport TARGET, is_a

cdef bytes DIGITS = b"0123456789"
cdef dict PORTS = {b"http": 80, b"https": 443}


cdef class PathChange:
    """As a snapshot's PathRewriteForm says. Raises ValueError if no path can have that."""

    def __init__(self, dict form):
        self.op, self.text, self.matched = form["op"], form["text"].encode(), form["matched"].encode()
        check_target(self.text)
        if self.op == "prefix":
            self.text, self.matched = self.text.removesuffix(b"/"), self.matched.removesuffix(b"/")
        if self.op == "like":
            try:
                self.pattern = re2.compile(self.matched, options())
            except re2.error as error:
                raise ValueError(f"regular expression {form['matched']!r}: {error}") from None

    def of(self, bytes path) -> bytes:
        """The path that takes the place of that one."""
        bare, mark, query = path.partition(b"?")
        if self.op == "full":
            bare = self.text
        elif self.op == "like":
            bare = replaced(self.pattern, self.text, bare)
        else:
            bare = self.text + bare[len(self.matched):]
        return (bare if bare.startswith(b"/") else b"/" + bare) + mark + query


cdef class Redirect:
    """As a snapshot's RedirectForm says. Raises ValueError if there is no such URL."""

    def __init__(self, dict form):
        self.status, self.port, self.own_port = form["status"], form["port"], form["own_port"]
        self.scheme, self.host = form["scheme"].encode(), form["host"].encode()
        self.own_scheme = form["own_scheme"].encode()
        self.path = PathChange(form["path"]) if form["path"] is not None else None
        check_target(self.scheme)
        check_target(self.host)

    def location(self, bytes host, bytes path) -> bytes:
        """For a request with that Host. A port that the scheme has by itself is left out."""
        cdef bytes scheme = self.scheme or self.own_scheme
        cdef int port = self.port or (PORTS.get(scheme, 0) if self.scheme else self.own_port)
        host = self.host or without_port(host)
        if port and port != PORTS.get(scheme):
            host += b":%d" % port
        return b"%s://%s%s" % (scheme, host, path if self.path is None else self.path.of(path))


cdef bytes without_port(bytes host):
    name, colon, port = host.rpartition(b":")
    return name if colon and not port.strip(DIGITS) else host


cdef bytes replaced(object pattern, bytes template, bytes path):
    """All that the pattern matches gives way to the template, in which \\1 is what its first group matched (RE2)."""
    cdef list pieces = []
    cdef Py_ssize_t at = 0
    for found in pattern.finditer(path):
        pieces += [path[at:found.start()], expanded(template, found)]
        at = found.end()
    return b"".join([*pieces, path[at:]])


cdef bytes expanded(bytes template, object found):
    cdef list pieces = template.split(b"\\")
    cdef list made = [pieces[0]]
    for piece in pieces[1:]:
        number = piece[:1]
        if number and number in DIGITS:
            made.append((found.group(int(number)) if int(number) <= found.re.groups else None) or b"")
            made.append(piece[1:])
        else:
            made.append(b"\\" + piece)
    return b"".join(made)


cdef int check_target(bytes text) except -1:
    cdef unsigned char octet
    for octet in text:
        if not is_a(octet, TARGET):
            raise ValueError(f"{text.decode('latin-1')!r} cannot stand in a URL")
    return 0
