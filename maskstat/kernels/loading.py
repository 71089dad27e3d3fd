"""One thread at a time imports Numba, looks into its cache and compiles; what fails is said once.

Numba's own lock is for compiling alone. Its modules import each other in circles, and its
registries are filled while they are imported and once more by whoever looks into its cache; two
threads at that together find half a module, or "generator already executing". So whatever leads to
Numba is done under `lock`, and the lock is taken before the import, never within one.
"""

from __future__ import annotations

import os
import threading

from maskstat.errors import ParameterError
from maskstat.naming import printable

VARIABLE = "MASKSTAT_ENGINE"
CAN_READ_MANY = hasattr(os, "readv")  # files into one buffer, for the kernel that counts them

lock = threading.RLock()

_said = False


def cannot_load(error: Exception) -> ParameterError:
    """What to say where compiled kernels were ordered and cannot be had."""
    return ParameterError(
        f"compiled kernels cannot be loaded ({_reason(error)})",
        where=VARIABLE,
        remedy="install a Numba that fits this Python, or unset the variable",
    )


def fell_back(error: Exception) -> None:
    """Log that NumPy goes on in place of kernels that were not ordered, once a process."""
    global _said
    with lock:
        if _said:
            return
        _said = True
    import logging

    logging.getLogger(__name__).warning(
        "compiled kernels cannot be loaded (%s): NumPy does their work, many times slower; "
        "install a Numba that fits this Python, or set %s=numpy to leave it at that",
        _reason(error),
        VARIABLE,
    )


def _reason(error: Exception) -> str:
    return printable(" ".join(str(error).split()))[:200] or type(error).__name__


def _renew() -> None:
    """A forked child has none of the threads that may have held the lock."""
    global lock
    lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
