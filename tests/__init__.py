"""The tests; what is set here is set before anything else of them is imported."""

import os
import sys
from pathlib import Path

# Two workers with a thread for each core get into each other's way. NumPy and torch read it once.
for library in ("OMP", "OPENBLAS", "MKL"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")

# Who wants no bytecode beside the sources has it here: without any, hundreds of child processes
# compile all that they import, and pytest every test.
if sys.dont_write_bytecode and sys.pycache_prefix is None:
    sys.dont_write_bytecode = False
    sys.pycache_prefix = str(Path(__file__).resolve().parents[1] / ".pytest_cache" / "bytecode")
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
