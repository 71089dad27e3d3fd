"""The program `maskstat`, and `python -m maskstat`: a process of one command."""

from __future__ import annotations

import atexit
import gc
import os
import sys
import threading
from typing import NoReturn


def program() -> NoReturn:
    """Entry point of the `maskstat` command.

    Most of what a short command makes are modules, which live as long as the process: to look for
    cycles among them, and to take them apart at the end, is a quarter of its time.
    """
    gc.set_threshold(100_000)
    if sys.argv[1:2] == ["scan"]:  # has threads of its own, and those of BLAS take time to start
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from maskstat.cli import main

    code: int | str | None = 1
    try:
        main()
    except SystemExit as left:
        code = left.code
    _leave(code)


def _leave(code: int | str | None) -> NoReturn:
    """End the process with what was to be done at its end, but without taking it apart."""
    others = {thread for thread in threading.enumerate() if not thread.daemon}
    watched = sys.gettrace() or sys.getprofile() or sys.flags.inspect
    if isinstance(code, int) and others == {threading.main_thread()} and not watched:
        try:
            atexit._run_exitfuncs()
            sys.stdout.flush()
            sys.stderr.flush()
        except Exception:  # Python says it in its own way, and with its own exit code
            sys.exit(code)
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    program()
