# distutils: libraries = ssl crypto
"""What one of our certificates is for OpenSSL: a context for each role, made of PEM bytes.

OpenSSL directly, not the standard library's `ssl`, for what that does not offer: connections without a session cache, a
chain that is built once instead of in every handshake, and reads and writes that the stream makes itself (tls.pyx).
Errors are `ssl.SSLError` all the same, with the attributes that `ssl` would give them, so that mesh.reason_of has
one kind to explain. Knows neither sockets nor whom we deal with (mesh.py).
"""

import os
import ssl

from libc.string cimport memcpy

from proxy.wire.tls.openssl cimport *

cdef enum:
    SECURITY = 2                # OpenSSL's level: keys of 112 bits and more, as Debian and Python have it

cdef const unsigned char* H2 = b"\x02h2"
cdef enum:
    H2_LENGTH = 3


cdef enum:                      # verdicts of our own on a certificate, beyond OpenSSL's
    LEAF_IS_CA = 0x5afe01
    LEAF_SIGNS_CERTIFICATES
    LEAF_SIGNS_CRLS
    LEAF_SIGNS_NOTHING

LEAF_REFUSALS = {
    LEAF_IS_CA: "it is a CA's (CA:TRUE), not a workload's",
    LEAF_SIGNS_CERTIFICATES: "its key usage has keyCertSign, which a workload's may not",
    LEAF_SIGNS_CRLS: "its key usage has cRLSign, which a workload's may not",
    LEAF_SIGNS_NOTHING: "its key usage lacks digitalSignature",
}


cdef class TlsContext:
    """One role of one certificate. Raises ssl.SSLError for PEM bytes that OpenSSL cannot use."""

    def __init__(self, bint server, bytes chain, bytes key, bytes roots):
        self.server = server
        ERR_clear_error()
        self.raw = SSL_CTX_new(TLS_server_method() if server else TLS_client_method())
        if self.raw == NULL:
            raise MemoryError
        set_rules(self.raw, server)
        trust(self.raw, roots)
        use_chain(self.raw, chain)
        use_key(self.raw, key)

    def __dealloc__(self):
        SSL_CTX_free(self.raw)

    def uris(self) -> list:
        """The URIs among our own certificate's names."""
        return uris_in(SSL_CTX_get0_certificate(self.raw))

    cdef SSL* begin(self) except NULL:
        """A new connection's TLS, without a transport yet; the caller frees it."""
        cdef SSL* tls = SSL_new(self.raw)
        if tls == NULL:
            raise MemoryError
        if self.server:
            SSL_set_accept_state(tls)
        else:
            SSL_set_connect_state(tls)
        return tls


cdef class TlsEnd:
    """One end of a TLS connection in memory: for trying certificates out. Blocks on nothing; errors are ssl.SSLError."""

    def __init__(self, TlsContext context):
        self.raw = context.begin()
        self.arriving, self.leaving = BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem())
        if self.arriving == NULL or self.leaving == NULL:
            raise MemoryError
        BIO_set_mem_eof_return(self.arriving, -1)
        SSL_set_bio(self.raw, self.arriving, self.leaving)

    def __dealloc__(self):
        SSL_free(self.raw)

    def hear(self, bytes data) -> None:
        """What the other end has sent."""
        BIO_write(self.arriving, <const char*>data, len(data))

    def say(self) -> bytes:
        """What is to be sent to the other end."""
        cdef int length = BIO_ctrl_pending(self.leaving)
        cdef bytearray data = bytearray(length)
        BIO_read(self.leaving, <char*>data, length)
        return bytes(data)

    def shake_hands(self) -> bool:
        """As far as what was heard allows; True once it is done."""
        ERR_clear_error()
        return self.settle(SSL_do_handshake(self.raw))

    def read(self) -> bool:
        """Whether a byte of application data has come: a TLS 1.3 client hears of a refusal only here."""
        cdef char byte
        cdef size_t got = 0
        ERR_clear_error()
        return self.settle(SSL_read_ex(self.raw, &byte, 1, &got))

    def write(self, bytes data) -> bool:
        cdef size_t written = 0
        ERR_clear_error()
        return self.settle(SSL_write_ex(self.raw, <const char*>data, len(data), &written))

    def settle(self, int result) -> bool:
        if result != 1 and SSL_get_error(self.raw, result) != SSL_ERROR_WANT_READ:
            raise error_of(self.raw, result, 0)
        return result == 1

    def peer_uris(self) -> list:
        return peer_uris(self.raw)

    def protocol(self) -> str:
        return chosen_protocol(self.raw)

    def version(self) -> str:
        return SSL_get_version(self.raw).decode()


def meet(TlsEnd server, TlsEnd client) -> None:
    """Has two ends shake hands with each other, as far as they can."""
    for _ in range(2):          # flights of each; the server has checked the client in the last one
        client.shake_hands()
        server.hear(client.say())
        server.shake_hands()
        client.hear(server.say())


# -- making contexts ---------------------------------------------------------------------------------------------------


cdef int set_rules(SSL_CTX* raw, bint server) except -1:
    """TLS 1.3 and h2 alone, a certificate from the peer, no tickets, nothing kept."""
    SSL_CTX_set_min_proto_version(raw, TLS1_3_VERSION)
    SSL_CTX_set_max_proto_version(raw, TLS1_3_VERSION)
    SSL_CTX_set_security_level(raw, SECURITY)
    SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF)
    SSL_CTX_set_num_tickets(raw, 0)
    SSL_CTX_set_mode(raw, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                     SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN)
    SSL_CTX_set_verify(raw, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, see_leaf)
    # A root that is itself issued by another is a root all the same, as for ztunnel. Not X509_V_FLAG_X509_STRICT:
    # ztunnel's test CA, and some real ones, issue leaves without an authority key identifier.
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(raw), X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN)
    if server:
        SSL_CTX_set_alpn_select_cb(raw, choose_protocol, NULL)
    elif SSL_CTX_set_alpn_protos(raw, H2, H2_LENGTH) != 0:
        raise MemoryError
    return 0


cdef int see_leaf(int good, X509_STORE_CTX* chain) noexcept:
    """A leaf that may issue others is no workload's: SPIFFE X.509-SVID 5.2 has it rejected; one that may sign nothing is of
    no use in a handshake (4.3, RFC 8446 4.4.2.2). Called for every certificate of the chain; of the others OpenSSL knows
    the rules."""
    cdef X509* certificate = X509_STORE_CTX_get_current_cert(chain)
    cdef int wrong
    if not good or certificate == NULL or X509_STORE_CTX_get_error_depth(chain) != 0:
        return good
    wrong = wrong_with_leaf(certificate)
    if wrong:
        X509_STORE_CTX_set_error(chain, wrong)
    return wrong == 0


cdef int wrong_with_leaf(X509* leaf) noexcept:
    cdef uint32_t flags = X509_get_extension_flags(leaf)
    cdef uint32_t usage = (
        X509_get_key_usage(leaf) if flags & EXFLAG_KUSAGE else KU_DIGITAL_SIGNATURE     # says nothing: not that either
    )
    if flags & EXFLAG_CA:
        return LEAF_IS_CA
    if usage & KU_KEY_CERT_SIGN:
        return LEAF_SIGNS_CERTIFICATES
    if usage & KU_CRL_SIGN:
        return LEAF_SIGNS_CRLS
    return 0 if usage & KU_DIGITAL_SIGNATURE else LEAF_SIGNS_NOTHING


cdef int choose_protocol(
        SSL* tls, const unsigned char** chosen, unsigned char* chosen_length, const unsigned char* offered,
        unsigned int length, void* nothing) noexcept:
    """h2, or none: the peer is told by us then, not by an alert."""
    if SSL_select_next_proto(<unsigned char**>chosen, chosen_length, H2, H2_LENGTH, offered, length) \
            == OPENSSL_NPN_NEGOTIATED:
        return SSL_TLSEXT_ERR_OK
    return SSL_TLSEXT_ERR_NOACK


cdef int trust(SSL_CTX* raw, bytes roots) except -1:
    return read_all(raw, roots, read_root)


cdef int read_all(SSL_CTX* raw, bytes content, bint (*read_one)(SSL_CTX*, BIO*) noexcept) except -1:
    """Reads what stands in PEM one after the other, at least one. `read_one`: False when there is no further one."""
    cdef BIO* pem = opened(content)
    cdef int count = 0
    try:
        while read_one(raw, pem):
            count += 1
        if count == 0:
            raise error_of(NULL, 0, 0)
        ERR_clear_error()       # that there is no further one
    finally:
        BIO_free(pem)
    return 0


cdef bint read_root(SSL_CTX* raw, BIO* pem) noexcept:
    cdef X509* root = PEM_read_bio_X509(pem, NULL, NULL, NULL)
    if root == NULL:
        return False
    X509_STORE_add_cert(SSL_CTX_get_cert_store(raw), root)
    X509_free(root)
    return True


cdef int use_chain(SSL_CTX* raw, bytes chain) except -1:
    """The leaf, then what it comes with. A leaf alone gets what the roots know above it, up to the last one of them,
    which the peer must have anyway: once, not in each handshake."""
    cdef BIO* pem = opened(chain)
    cdef X509* one
    cdef int count = 0, good = 1
    try:
        while good == 1:
            one = PEM_read_bio_X509(pem, NULL, NULL, NULL)
            if one == NULL:
                break
            good = SSL_CTX_add1_chain_cert(raw, one) if count else SSL_CTX_use_certificate(raw, one)
            X509_free(one)
            count += 1
        if good != 1 or count == 0:
            raise error_of(NULL, 0, 0)
        if count == 1:
            SSL_CTX_build_cert_chain(raw, SSL_BUILD_CHAIN_FLAG_NO_ROOT | SSL_BUILD_CHAIN_FLAG_IGNORE_ERROR)
        ERR_clear_error()
    finally:
        BIO_free(pem)
    return 0


cdef int use_key(SSL_CTX* raw, bytes key) except -1:
    """An empty password: without one OpenSSL would ask the terminal for that of an encrypted key."""
    cdef BIO* pem = opened(key)
    cdef EVP_PKEY* parsed = PEM_read_bio_PrivateKey(pem, NULL, NULL, <void*><const char*>b"")
    cdef int good = parsed != NULL and SSL_CTX_use_PrivateKey(raw, parsed) == 1
    EVP_PKEY_free(parsed)
    BIO_free(pem)
    if not good:
        raise error_of(NULL, 0, 0)
    return 0


cdef BIO* opened(bytes content) except NULL:
    """For reading; `content` must live as long."""
    cdef BIO* made = BIO_new_mem_buf(<const char*>content, len(content))
    if made == NULL:
        raise MemoryError
    return made


# -- what a connection has to say --------------------------------------------------------------------------------------


cdef object error_of(SSL* tls, int result, int error_number):
    """Why `tls` (NULL: no connection's) gave this result, as `ssl` would have it; `error_number` is the transport's."""
    cdef unsigned long code = ERR_peek_last_error()
    cdef int kind = SSL_get_error(tls, result) if tls != NULL else SSL_ERROR_SSL
    cdef const char* text = ERR_reason_error_string(code)
    cdef bytes words = text if text != NULL else b"unknown error"
    cdef int reason = ERR_GET_REASON(code) if ERR_GET_LIB(code) == ERR_LIB_SSL else 0
    cdef long verdict
    ERR_clear_error()
    if kind == SSL_ERROR_ZERO_RETURN:
        return ssl.SSLZeroReturnError(kind, "TLS connection ended")
    if kind == SSL_ERROR_SYSCALL and error_number:
        return OSError(error_number, os.strerror(error_number))
    if kind == SSL_ERROR_SYSCALL or reason == SSL_R_UNEXPECTED_EOF_WHILE_READING:
        return ssl.SSLEOFError(kind, "TLS connection cut")
    fault = ssl.SSLError(kind, words.decode())
    if reason == SSL_R_CERTIFICATE_VERIFY_FAILED and tls != NULL:
        verdict = SSL_get_verify_result(tls)
        fault = ssl.SSLCertVerificationError(kind, words.decode())
        fault.verify_code, fault.verify_message = verdict, refusal_of(verdict)
    fault.reason = words.decode().upper().replace(" ", "_")
    return fault


cdef str refusal_of(long verdict):
    return LEAF_REFUSALS.get(verdict) or X509_verify_cert_error_string(verdict).decode()


cdef list peer_uris(SSL* tls):
    """The URIs among the names of the peer's certificate."""
    cdef X509* certificate = SSL_get0_peer_certificate(tls)
    return uris_in(certificate) if certificate != NULL else []


cdef list uris_in(X509* certificate):
    cdef GENERAL_NAMES* names = <GENERAL_NAMES*>X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL)
    cdef ASN1_STRING* value
    cdef int index, kind = 0
    cdef list found = []
    if names == NULL:
        ERR_clear_error()
        return found
    for index in range(sk_GENERAL_NAME_num(names)):
        value = <ASN1_STRING*>GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, index), &kind)
        if kind == GEN_URI:     # ASCII, as far as anybody may put it there; what is not will be no identity
            found.append((<const char*>ASN1_STRING_get0_data(value))[:ASN1_STRING_length(value)].decode("latin-1"))
    GENERAL_NAMES_free(names)
    return found


cdef str chosen_protocol(SSL* tls):
    """What both ends agreed on in ALPN, None if nothing."""
    cdef const unsigned char* chosen = NULL
    cdef unsigned int length = 0
    SSL_get0_alpn_selected(tls, &chosen, &length)
    return (<const char*>chosen)[:length].decode("latin-1") if length else None


# -- a stream of ours as OpenSSL sees it -------------------------------------------------------------------------------


cdef BIO_METHOD* make_transport(
        const char* name, int (*read)(BIO*, char*, int) noexcept, int (*write)(BIO*, const char*, int) noexcept,
        long (*control)(BIO*, int, long, void*) noexcept) except NULL:
    cdef BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, name)
    if made == NULL:
        raise MemoryError
    BIO_meth_set_read(made, read)
    BIO_meth_set_write(made, write)
    BIO_meth_set_ctrl(made, control)
    return made


cdef int put_over(SSL* tls, BIO_METHOD* transport, void* stream) except -1:
    """TLS speaks over the stream, which its transport's functions are given; it must live longer than `tls`."""
    cdef BIO* bio = BIO_new(transport)
    if bio == NULL:
        raise MemoryError
    BIO_set_data(bio, stream)
    BIO_set_init(bio, 1)
    SSL_set_bio(tls, bio, bio)
    return 0
