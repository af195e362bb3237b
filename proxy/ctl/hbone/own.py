"""Who we are inside a Pod of the mesh: a certificate that istiod signs for this one request."""

import os
import time
from collections.abc import Mapping
from pathlib import Path

from proxy.ctl.hbone.tunnel import TLS_REFUSED, Credentials, Failed
from proxy.identity.certificates import CHAIN, FILES, KEY, ROOTS
from proxy.identity.istiod.ask import NotSigned, ask, mounted
from proxy.identity.istiod.authority import USUAL_TRUST_DOMAIN, Authority
from proxy.settings import inside, kinds

LIFE_S = 600


def own_authority(environ: Mapping[str, str]) -> Authority | None:
    """The istiod that signs for this Pod; None where Istio's token and root are not mounted. ValueError for CA_ADDR."""
    found = inside.own_ca(environ, inside.CA_TOKEN, inside.CA_ROOT)
    if found is None:
        return None
    return Authority(
        place=kinds.istiod(f"istiod://{found}").partition("://")[2],
        token_file=inside.CA_TOKEN,
        root_file=inside.CA_ROOT,
        cluster=inside.own_cluster(environ) or "Kubernetes",
        trust_domain=USUAL_TRUST_DOMAIN,
        seconds=LIFE_S,
    )


def signed_by(authority: Authority) -> Credentials:
    """A new certificate of ours, in memory: its files are this process's alone. Raises Failed."""
    try:
        contents = ask(authority, mounted(authority), time.time())
    except NotSigned as fault:
        look_at = f"{authority.token_file}, {authority.root_file}, istiod's log"
        raise Failed(TLS_REFUSED, f"our certificate: {authority.url}: {fault}", look_at) from fault
    paths = {name: _in_memory(name, contents[name]) for name in FILES}
    return Credentials(paths[CHAIN], paths[KEY], paths[ROOTS])


def _in_memory(name: str, content: bytes | str) -> Path:
    fd = os.memfd_create(name)
    os.write(fd, content if isinstance(content, bytes) else content.encode())
    return Path(f"/proc/self/fd/{fd}")
