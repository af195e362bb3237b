"""What test_patch has forked from a prepared process: patches itself, and names who still has what was there before."""

import sys

from gevent import monkey

from proxy.ipc.patch import patch


def unpatched() -> list[str]:
    """Names in other modules than the standard library's for functions and classes of it that gevent has replaced."""
    replaced = {id(each) for names in monkey.saved.values() for each in names.values() if callable(each)}
    own = sys.stdlib_module_names | {"gevent", "greenlet"}
    modules = [(name, module) for name, module in sys.modules.items() if name.partition(".")[0] not in own]
    return sorted(
        f"{name}.{key}" for name, module in modules for key, value in vars(module).items() if id(value) in replaced
    )


if __name__ == "__main__":
    patch()
    print("\n".join(unpatched()))
