"""Where our certificates come from, as the settings say."""

from proxy.identity.files import Files
from proxy.identity.source import Source
from proxy.identity.watch import CertificateWatch
from proxy.settings.settings import Settings


def certificates_of(settings: Settings) -> CertificateWatch:
    """The certificates to follow."""
    return CertificateWatch(_source_of(settings), settings.trust_domain, settings.trust_domain_aliases)


def _source_of(settings: Settings) -> Source:
    if settings.source == "kubernetes" and not settings.in_mesh:
        return Files(None, "neither --tls-dir nor --ca is set, and nothing is mounted to ask istiod with")
    if not settings.ca:
        return Files(settings.tls_dir)
    from proxy.identity.istiod.authority import authority_of
    from proxy.identity.istiod.source import Istiod  # with the h2 library, which is not needed otherwise

    return Istiod(authority_of(settings))
