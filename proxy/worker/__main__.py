"""`python -m proxy.worker`: started by the arbiter."""

from proxy.ipc.patch import patch

patch()

from proxy.worker.worker import main  # noqa: E402

main()
