"""`python -m proxy.controller`: started by the arbiter."""

from proxy.ipc.patch import patch

patch()

import sys  # noqa: E402

from proxy.controller.controller import main  # noqa: E402

sys.exit(main(sys.argv[1:]))
