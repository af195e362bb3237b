# distutils: libraries = ssl crypto
"""TLS of clients at a Gateway's own listeners (protocol HTTPS, tls.mode Terminate): which of the listeners of a port a
connection belongs to, and which certificate it is shown, by the name that its client asks for (SNI, RFC 6066 3).

TLS 1.2, with the ciphers that HTTP/2 allows (RFC 9113 9.2.2), and 1.3; h2 or http/1.1 by ALPN, as the client likes, h2
first. No client is asked for a certificate. Sessions are not resumed: the workers share no keys for tickets.
"""

from proxy.wire.tls.context cimport use_chain, use_key
from proxy.wire.tls.openssl cimport *

cdef enum:
    SECURITY = 2                # as mesh TLS has it (context.pyx)
    OWNER = 0                   # SSL_get_ex_data: the ServedStream
    SHOWN = 100                 # characters of a client's name in a line of the log

cdef const unsigned char* PROTOCOLS = b"\x02h2\x08http/1.1"
cdef enum:
    PROTOCOLS_LENGTH = 12


cdef class ServingContext:
    """A certificate and its key, in PEM. Raises ssl.SSLError for what OpenSSL cannot use."""

    def __init__(self, bytes chain, bytes key):
        ERR_clear_error()
        self.raw = new_context()
        use_chain(self.raw, chain)
        use_key(self.raw, key)

    def __dealloc__(self):
        SSL_CTX_free(self.raw)


cdef class ServingNames:
    """The listeners of one port: by hostname ("" for any, `*.a.b` for all below a.b, else that name alone), the
    certificates of each, of which it may have none. Of a client's name the most special hostname counts."""

    def __init__(self, object served):
        self.raw = new_context()
        self.served = {hostname.lower().encode(): list(contexts) for hostname, contexts in served.items()}
        self.hostnames = self.served.keys()
        SSL_CTX_set_tlsext_servername_callback(self.raw, choose_listener)

    def __dealloc__(self):
        SSL_CTX_free(self.raw)

    def listener_of(self, bytes host) -> object:
        """The hostname of the listener that a Host, or a client's name, is for; None: of none."""
        return self.covering(host)

    cdef SSL* begin(self, ServedStream stream) except NULL:
        """A new connection's TLS, without a transport yet; the stream frees it, and keeps this alive."""
        cdef SSL* tls = SSL_new(self.raw)
        if tls == NULL:
            raise MemoryError
        SSL_set_accept_state(tls)
        SSL_set_ex_data(tls, OWNER, <void*>stream)
        return tls

    cdef bytes covering(self, bytes host):
        cdef bytes bare, port
        cdef Py_ssize_t at
        host = host.lower()
        bare, _, port = host.rpartition(b":")
        if bare and port.isdigit():
            host = bare
        if host in self.served:
            return host
        at = host.find(b".", 1)
        while at >= 0:
            if b"*" + host[at:] in self.served:
                return b"*" + host[at:]
            at = host.find(b".", at + 1)
        return b"" if b"" in self.served else None

    cdef ServingContext chosen(self, bytes hostname, bytes name):
        """Of a listener's certificates the first one for this name, or the first; None: there is none."""
        cdef list contexts = self.served[hostname]
        cdef ServingContext context
        for context in contexts:
            if X509_check_host(SSL_CTX_get0_certificate(context.raw), name, len(name), 0, NULL) == 1:
                return context
        return contexts[0] if contexts else None


cdef class ServedStream(SecuredStream):
    """A client's connection under TLS."""


cdef ServedStream accept_served(Stream under, ServingNames names, double seconds):
    """The server's side of a connection, hands shaken. `reason` says why it must not be used, "" if it may be."""
    cdef ServedStream stream = ServedStream()
    stream.names = names
    stream.put_on(under, names.begin(stream))
    stream.shake_hands(seconds)
    return stream


cdef SSL_CTX* new_context() except NULL:
    cdef SSL_CTX* raw = SSL_CTX_new(TLS_server_method())
    if raw == NULL:
        raise MemoryError
    SSL_CTX_set_min_proto_version(raw, TLS1_2_VERSION)
    SSL_CTX_set_max_proto_version(raw, TLS1_3_VERSION)
    SSL_CTX_set_security_level(raw, SECURITY)
    SSL_CTX_set_cipher_list(raw, b"ECDHE+AESGCM:ECDHE+CHACHA20")
    SSL_CTX_set_options(
        raw, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET | SSL_OP_CIPHER_SERVER_PREFERENCE)
    SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF)
    SSL_CTX_set_num_tickets(raw, 0)
    SSL_CTX_set_mode(raw, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                     SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN)
    SSL_CTX_set_verify(raw, SSL_VERIFY_NONE, NULL)
    SSL_CTX_set_alpn_select_cb(raw, choose_protocol, NULL)
    return raw


cdef int choose_protocol(
        SSL* tls, const unsigned char** chosen, unsigned char* chosen_length, const unsigned char* offered,
        unsigned int length, void* nothing) noexcept:
    """None, where the client offers neither: what it says then tells what it speaks."""
    if SSL_select_next_proto(<unsigned char**>chosen, chosen_length, PROTOCOLS, PROTOCOLS_LENGTH, offered, length) \
            == OPENSSL_NPN_NEGOTIATED:
        return SSL_TLSEXT_ERR_OK
    return SSL_TLSEXT_ERR_NOACK


cdef int choose_listener(SSL* tls, int* alert, void* nothing) noexcept:
    """Called for each client, whether it asks for a name or not, before a certificate is needed."""
    cdef ServedStream stream = <ServedStream>SSL_get_ex_data(tls, OWNER)
    cdef const char* asked = SSL_get_servername(tls, TLSEXT_NAMETYPE_host_name)
    cdef bytes name = asked if asked != NULL else b""
    cdef bytes hostname = stream.names.covering(name)
    cdef ServingContext context = None if hostname is None else stream.names.chosen(hostname, name)
    alert[0] = SSL_AD_UNRECOGNIZED_NAME
    if context is None:
        shown = ascii(name[:SHOWN].decode("latin-1")) if name else "no name (SNI)"
        stream.reason = f"it asks for {shown}, which " + (
            "no listener is for" if hostname is None else "is a listener's without a certificate that can be used")
        return SSL_TLSEXT_ERR_ALERT_FATAL
    stream.hostname = hostname
    SSL_set_SSL_CTX(tls, context.raw)
    return SSL_TLSEXT_ERR_OK
