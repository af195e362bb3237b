from proxy.relay.relay import Listener
from proxy.wire.tls.serving import ServingNames

class HttpsListener(Listener):
    def secure(self, names: ServingNames) -> None: ...
