"""`python -m maskstat.kernels.fill_cache`: compile the kernels into Numba's cache.

`engine` starts it in the background where the cache is cold. Run it when building a container
image to have the kernels ready from the first scan.
"""

from __future__ import annotations

import os


def main() -> None:
    """Compile every kernel, yielding the processor to whatever else runs."""
    if hasattr(os, "nice"):
        os.nice(10)
    from maskstat.kernels.compiled_engine import CompiledEngine

    CompiledEngine().load_two_byte_kernels()


if __name__ == "__main__":
    main()
