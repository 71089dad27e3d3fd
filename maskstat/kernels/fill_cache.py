"""`python -m maskstat.kernels.fill_cache`: compile the kernels into Numba's cache.

`engine` starts it in the background where the cache is cold. Run it when building a container
image to have the kernels ready from the first scan.
"""

from __future__ import annotations

import os
import signal


def main() -> None:
    """Compile every kernel, or find it in the cache, and report each set on standard output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it ends by itself, soon
    from maskstat.kernels.compiled_engine import CompiledEngine

    engine = CompiledEngine()
    _report("kernels for pixels of one byte")
    engine.load_file_kernel()
    _report("kernel for whole files")
    engine.load_two_byte_kernels()
    _report("kernels for pixels of two bytes")
    engine.load_colour_kernels()
    _report("kernels for colours")
    engine.load_plain_kernels()
    _report("kernels for plain pixels")
    engine.load_region_kernels()
    _report("kernels for regions")


def _report(what: str) -> None:
    try:
        print(f"compiled {what}", flush=True)
    except BrokenPipeError:  # whoever started this has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


if __name__ == "__main__":
    main()
