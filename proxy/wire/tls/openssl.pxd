# What is used of OpenSSL 3 (openssl/ssl.h and its neighbours).
from libc.stdint cimport uint32_t, uint64_t

cdef extern from "openssl/ssl.h":
    ctypedef struct SSL
    ctypedef struct SSL_CTX
    ctypedef struct SSL_METHOD
    ctypedef struct BIO
    ctypedef struct BIO_METHOD
    ctypedef struct X509
    ctypedef struct X509_CRL
    ctypedef struct X509_STORE_CTX
    ctypedef struct X509_STORE
    ctypedef struct X509_VERIFY_PARAM
    ctypedef struct EVP_PKEY

    int TLS1_2_VERSION
    int TLS1_3_VERSION
    int SSL_VERIFY_NONE
    uint64_t SSL_OP_NO_RENEGOTIATION
    uint64_t SSL_OP_NO_COMPRESSION
    uint64_t SSL_OP_NO_TICKET
    uint64_t SSL_OP_CIPHER_SERVER_PREFERENCE
    int SSL_VERIFY_PEER
    int SSL_VERIFY_FAIL_IF_NO_PEER_CERT
    int SSL_SESS_CACHE_OFF
    int SSL_BUILD_CHAIN_FLAG_NO_ROOT
    int SSL_BUILD_CHAIN_FLAG_IGNORE_ERROR
    int SSL_BUILD_CHAIN_FLAG_CLEAR_ERROR
    long SSL_MODE_ENABLE_PARTIAL_WRITE
    long SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER
    long SSL_MODE_RELEASE_BUFFERS
    long SSL_MODE_NO_AUTO_CHAIN
    int SSL_TLSEXT_ERR_OK
    int SSL_TLSEXT_ERR_NOACK
    int SSL_TLSEXT_ERR_ALERT_FATAL
    int SSL_AD_UNRECOGNIZED_NAME
    int TLSEXT_NAMETYPE_host_name
    int OPENSSL_NPN_NEGOTIATED
    int SSL_ERROR_NONE
    int SSL_ERROR_SSL
    int SSL_ERROR_WANT_READ
    int SSL_ERROR_WANT_WRITE
    int SSL_ERROR_SYSCALL
    int SSL_ERROR_ZERO_RETURN
    int SSL_R_CERTIFICATE_VERIFY_FAILED
    int SSL_R_UNEXPECTED_EOF_WHILE_READING

    const SSL_METHOD* TLS_server_method()
    const SSL_METHOD* TLS_client_method()
    SSL_CTX* SSL_CTX_new(const SSL_METHOD*)
    void SSL_CTX_free(SSL_CTX*)
    int SSL_CTX_set_min_proto_version(SSL_CTX*, int)
    int SSL_CTX_set_max_proto_version(SSL_CTX*, int)
    void SSL_CTX_set_security_level(SSL_CTX*, int)
    long SSL_CTX_set_mode(SSL_CTX*, long)
    long SSL_CTX_set_session_cache_mode(SSL_CTX*, long)
    int SSL_CTX_set_num_tickets(SSL_CTX*, size_t)
    void SSL_CTX_set_verify(SSL_CTX*, int, int (*)(int, X509_STORE_CTX*) noexcept)
    X509_VERIFY_PARAM* SSL_CTX_get0_param(SSL_CTX*)
    X509_STORE* SSL_CTX_get_cert_store(const SSL_CTX*)
    int SSL_CTX_use_certificate(SSL_CTX*, X509*)
    int SSL_CTX_add1_chain_cert(SSL_CTX*, X509*)
    int SSL_CTX_build_cert_chain(SSL_CTX*, int)
    int SSL_CTX_use_PrivateKey(SSL_CTX*, EVP_PKEY*)
    int SSL_CTX_set_alpn_protos(SSL_CTX*, const unsigned char*, unsigned int)
    void SSL_CTX_set_alpn_select_cb(
        SSL_CTX*,
        int (*)(SSL*, const unsigned char**, unsigned char*, const unsigned char*, unsigned int, void*) noexcept, void*)
    int SSL_select_next_proto(
        unsigned char**, unsigned char*, const unsigned char*, unsigned int, const unsigned char*, unsigned int)

    uint64_t SSL_CTX_set_options(SSL_CTX*, uint64_t)
    int SSL_CTX_set_default_verify_paths(SSL_CTX*)
    int SSL_CTX_set_cipher_list(SSL_CTX*, const char*)
    long SSL_CTX_set_tlsext_servername_callback(SSL_CTX*, int (*)(SSL*, int*, void*) noexcept)
    SSL_CTX* SSL_set_SSL_CTX(SSL*, SSL_CTX*)
    const char* SSL_get_servername(const SSL*, int)

    SSL* SSL_new(SSL_CTX*)
    void SSL_free(SSL*)
    void SSL_set_bio(SSL*, BIO*, BIO*)
    void SSL_set_accept_state(SSL*)
    void SSL_set_connect_state(SSL*)
    long SSL_set_tlsext_host_name(SSL*, const char*)
    int SSL_set_alpn_protos(SSL*, const unsigned char*, unsigned int)
    int SSL_set_ex_data(SSL*, int, void*)
    void* SSL_get_ex_data(const SSL*, int)
    int SSL_get_ex_data_X509_STORE_CTX_idx()
    int SSL_do_handshake(SSL*)
    int SSL_read_ex(SSL*, void*, size_t, size_t*)
    int SSL_write_ex(SSL*, const void*, size_t, size_t*)
    int SSL_pending(const SSL*)
    int SSL_shutdown(SSL*)
    int SSL_get_error(const SSL*, int)
    long SSL_get_verify_result(const SSL*)
    X509* SSL_get0_peer_certificate(const SSL*)
    void SSL_get0_alpn_selected(const SSL*, const unsigned char**, unsigned int*)
    const char* SSL_get_version(const SSL*)

cdef extern from "openssl/bio.h":
    int BIO_TYPE_SOURCE_SINK
    int BIO_CTRL_FLUSH
    int BIO_CTRL_EOF
    int BIO_get_new_index()
    BIO_METHOD* BIO_meth_new(int, const char*)
    int BIO_meth_set_read(BIO_METHOD*, int (*)(BIO*, char*, int) noexcept)
    int BIO_meth_set_write(BIO_METHOD*, int (*)(BIO*, const char*, int) noexcept)
    int BIO_meth_set_ctrl(BIO_METHOD*, long (*)(BIO*, int, long, void*) noexcept)
    BIO* BIO_new(const BIO_METHOD*)
    BIO* BIO_new_mem_buf(const void*, int)
    int BIO_free(BIO*)
    void BIO_set_init(BIO*, int)
    void BIO_set_data(BIO*, void*)
    void* BIO_get_data(BIO*)
    void BIO_set_retry_read(BIO*)
    void BIO_set_retry_write(BIO*)
    void BIO_clear_retry_flags(BIO*)
    BIO_METHOD* BIO_s_mem()
    int BIO_read(BIO*, void*, int)
    int BIO_write(BIO*, const void*, int)
    size_t BIO_ctrl_pending(BIO*)
    long BIO_set_mem_eof_return(BIO*, int)

cdef extern from "openssl/pem.h":
    X509* PEM_read_bio_X509(BIO*, X509**, void*, void*)
    X509_CRL* PEM_read_bio_X509_CRL(BIO*, X509_CRL**, void*, void*)
    EVP_PKEY* PEM_read_bio_PrivateKey(BIO*, EVP_PKEY**, void*, void*)
    void EVP_PKEY_free(EVP_PKEY*)

cdef extern from "openssl/x509v3.h":
    ctypedef struct GENERAL_NAMES
    ctypedef struct GENERAL_NAME
    ctypedef struct ASN1_STRING
    int NID_subject_alt_name
    int GEN_URI
    unsigned long X509_V_FLAG_TRUSTED_FIRST
    unsigned long X509_V_FLAG_PARTIAL_CHAIN
    unsigned long X509_V_FLAG_CRL_CHECK
    unsigned long X509_V_FLAG_CRL_CHECK_ALL
    int X509_V_ERR_HOSTNAME_MISMATCH
    int X509_V_ERR_APPLICATION_VERIFICATION
    unsigned int X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS
    unsigned int X509_CHECK_FLAG_NEVER_CHECK_SUBJECT
    int X509_check_host(X509*, const char*, size_t, unsigned int, char**)
    int X509_check_email(X509*, const char*, size_t, unsigned int)
    int X509_check_ip_asc(X509*, const char*, unsigned int)
    void X509_CRL_free(X509_CRL*)
    int X509_STORE_add_crl(X509_STORE*, X509_CRL*)
    void* X509_STORE_CTX_get_ex_data(const X509_STORE_CTX*, int)
    void X509_free(X509*)
    int X509_STORE_add_cert(X509_STORE*, X509*)
    int X509_VERIFY_PARAM_set_flags(X509_VERIFY_PARAM*, unsigned long)
    const char* X509_verify_cert_error_string(long)
    X509* X509_STORE_CTX_get_current_cert(const X509_STORE_CTX*)
    int X509_STORE_CTX_get_error_depth(const X509_STORE_CTX*)
    void X509_STORE_CTX_set_error(X509_STORE_CTX*, int)
    uint32_t X509_get_extension_flags(X509*)
    uint32_t X509_get_key_usage(X509*)
    uint32_t EXFLAG_CA, EXFLAG_KUSAGE, KU_KEY_CERT_SIGN, KU_CRL_SIGN, KU_DIGITAL_SIGNATURE
    X509* SSL_CTX_get0_certificate(const SSL_CTX*)
    void* X509_get_ext_d2i(const X509*, int, int*, int*)
    int sk_GENERAL_NAME_num(const GENERAL_NAMES*)
    GENERAL_NAME* sk_GENERAL_NAME_value(const GENERAL_NAMES*, int)
    void GENERAL_NAMES_free(GENERAL_NAMES*)
    void* GENERAL_NAME_get0_value(const GENERAL_NAME*, int*)
    const unsigned char* ASN1_STRING_get0_data(const ASN1_STRING*)
    int ASN1_STRING_length(const ASN1_STRING*)

cdef extern from "openssl/err.h":
    int ERR_LIB_SSL
    unsigned long ERR_peek_last_error()
    void ERR_clear_error()
    int ERR_GET_LIB(unsigned long)
    int ERR_GET_REASON(unsigned long)
    const char* ERR_reason_error_string(unsigned long)
