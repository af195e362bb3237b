"""Which istiod is asked for certificates, and what for."""

from dataclasses import dataclass

from proxy import addresses
from proxy.settings import inside
from proxy.settings.settings import Settings

USUAL_NAME = "istiod.istio-system.svc"
"""Whose certificate it has to be where --ca has an address, not a name."""
USUAL_TRUST_DOMAIN = "cluster.local"


@dataclass(frozen=True, slots=True)
class Authority:
    """Where istiod is (`place`: host:port), what is shown to it, and how many `seconds` certificates shall be valid."""

    place: str
    token_file: str
    root_file: str
    cluster: str
    trust_domain: str
    seconds: int

    @property
    def url(self) -> str:
        """As in --ca."""
        return f"istiod://{self.place}"

    @property
    def server_name(self) -> str:
        """Whom its certificate has to be for: the host, if it is a name that is not of this machine alone."""
        host = addresses.split(self.place)[0]
        return USUAL_NAME if addresses.is_address(host) or host == "localhost" else host


def authority_of(settings: Settings) -> Authority:
    """That of --ca, which is set."""
    return Authority(
        place=str(settings.ca).partition("://")[2],
        token_file=settings.ca_token or inside.CA_TOKEN,
        root_file=settings.ca_root or inside.CA_ROOT,
        cluster=settings.cluster_id,
        trust_domain=settings.trust_domain or USUAL_TRUST_DOMAIN,
        seconds=int(settings.ca_ttl),
    )
