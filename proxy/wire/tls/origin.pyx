# distutils: libraries = ssl crypto
"""What TLS to an endpoint is made with (`trafficPolicy.tls`): credentials, which many clusters may share, and what one
cluster asks for besides: the name that it tells the endpoint (SNI), and those that the endpoint's certificate must have.

TLS 1.2 and 1.3 as Istio's proxies speak it, without renegotiation and without sessions that are resumed. The chain is
verified in the handshake, and so are the names: our certificate is shown to nobody who has not proved to be who is
meant. Names are compared as Envoy's exact matches are: with the DNS names, addresses, URIs and mail addresses of the
certificate, and never with its subject.
"""

from proxy.wire.tls.context cimport error_of, read_all, trust, uris_in, use_chain, use_key
from proxy.wire.tls.openssl cimport *

cdef enum:
    SECURITY = 2                # as mesh TLS has it (context.pyx)
    LONGEST_NAME = 255          # that OpenSSL takes for SNI
    OWNER = 0                   # SSL_get_ex_data: the Origination

cdef const unsigned char* BOTH = b"\x02h2\x08http/1.1"
cdef enum:
    BOTH_LENGTH = 12
    H2_LENGTH = 3               # of them


cdef class OriginContext:
    """Credentials: `chain` and `key` are ours, b"" to show none; `roots` whom endpoints are verified against, b"" for the
    system's; `crl` those of theirs that are revoked, b"" to ask for none. All PEM. Raises ssl.SSLError for what OpenSSL
    cannot use."""

    def __init__(self, bytes chain, bytes key, bytes roots, bytes crl, bint verifies):
        self.verifies = verifies
        ERR_clear_error()
        self.raw = SSL_CTX_new(TLS_client_method())
        if self.raw == NULL:
            raise MemoryError
        set_rules(self.raw)
        if verifies:
            verify_against(self.raw, roots, crl)
        if chain:
            use_chain(self.raw, chain)
            use_key(self.raw, key)

    def __dealloc__(self):
        SSL_CTX_free(self.raw)


cdef class Origination:
    """What one cluster's connections begin with. `form` is a snapshot's; `found` an OriginContext, or why there is none."""

    def __init__(self, dict form, object found):
        self.form = form
        self.sni = form["sni"].encode()
        if len(self.sni) > LONGEST_NAME:
            found = "sni: is longer than 255 octets"
        self.context = found if isinstance(found, OriginContext) else None
        self.problem = "" if self.context is not None else found
        self.names = [name.encode() for name in form["names"]]

    def same(self, dict form, object found) -> bool:
        """Whether connections made with this are as good as those of another made of these."""
        return self.form == form and (self.context if self.context is not None else self.problem) == found

    cdef SSL* begin(self, int alpn) except NULL:
        """A new connection's TLS, without a transport yet; the caller frees it."""
        cdef SSL* tls = SSL_new(self.context.raw)
        if tls == NULL:
            raise MemoryError
        SSL_set_connect_state(tls)
        SSL_set_ex_data(tls, OWNER, <void*>self)
        if self.sni:
            SSL_set_tlsext_host_name(tls, <const char*>self.sni)
        if alpn == HTTP1_OR_2:
            SSL_set_alpn_protos(tls, BOTH, BOTH_LENGTH)
        elif alpn == HTTP1:
            SSL_set_alpn_protos(tls, BOTH + H2_LENGTH, BOTH_LENGTH - H2_LENGTH)
        return tls


cdef int set_rules(SSL_CTX* raw) except -1:
    SSL_CTX_set_min_proto_version(raw, TLS1_2_VERSION)
    SSL_CTX_set_max_proto_version(raw, TLS1_3_VERSION)
    SSL_CTX_set_security_level(raw, SECURITY)
    SSL_CTX_set_options(raw, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION)
    SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF)
    SSL_CTX_set_mode(raw, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                     SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN)
    SSL_CTX_set_verify(raw, SSL_VERIFY_NONE, NULL)
    return 0


cdef int verify_against(SSL_CTX* raw, bytes roots, bytes crl) except -1:
    """A root that another has issued is one all the same. Of every certificate of a chain a list of the revoked is wanted,
    if there is one at all: a revoked intermediate is no better than a revoked leaf (Envoy, too)."""
    cdef unsigned long flags = X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN
    SSL_CTX_set_verify(raw, SSL_VERIFY_PEER, see_names)
    if roots:
        trust(raw, roots)
    elif SSL_CTX_set_default_verify_paths(raw) != 1:
        raise error_of(NULL, 0, 0)
    if crl:
        read_all(raw, crl, read_revoked)
        flags |= X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(raw), flags)
    return 0


cdef bint read_revoked(SSL_CTX* raw, BIO* pem) noexcept:
    cdef X509_CRL* found = PEM_read_bio_X509_CRL(pem, NULL, NULL, NULL)
    if found == NULL:
        return False
    X509_STORE_add_crl(SSL_CTX_get_cert_store(raw), found)
    X509_CRL_free(found)
    return True


# -- whose certificate it is -------------------------------------------------------------------------------------------


cdef int see_names(int good, X509_STORE_CTX* chain) noexcept:
    """Called for every certificate of the chain; the leaf is the last one."""
    cdef SSL* tls
    cdef X509* certificate = X509_STORE_CTX_get_current_cert(chain)
    if not good or certificate == NULL or X509_STORE_CTX_get_error_depth(chain) != 0:
        return good
    tls = <SSL*>X509_STORE_CTX_get_ex_data(chain, SSL_get_ex_data_X509_STORE_CTX_idx())
    if has_one_of(certificate, <Origination>SSL_get_ex_data(tls, OWNER)):
        return 1
    X509_STORE_CTX_set_error(chain, X509_V_ERR_HOSTNAME_MISMATCH)
    return 0


cdef bint has_one_of(X509* certificate, Origination wanted) noexcept:
    cdef bytes name
    for name in wanted.names:
        if has_name(certificate, name):
            return True
    return len(wanted.names) == 0


cdef bint has_name(X509* certificate, bytes name) noexcept:
    cdef unsigned int flags = X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT
    if b"://" in name:
        return name.decode("latin-1") in uris_in(certificate)
    if b"@" in name:
        return X509_check_email(certificate, name, len(name), flags) == 1
    return X509_check_ip_asc(certificate, name, 0) == 1 or X509_check_host(certificate, name, len(name), flags, NULL) == 1
