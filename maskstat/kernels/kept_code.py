"""Machine code of kernels in files of their own, for processes that never import Numba.

Importing Numba and looking into its cache takes three quarters of a second; loading an object file
by llvmlite, which comes with Numba, a tenth. Code is kept for this text of its kernel, this
llvmlite and this kind of processor, behind a checksum, in a folder that holds code already:
NUMBA_CACHE_DIR, the `__pycache__` of this package, or the user's own cache folder.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from maskstat.regular_files import read_file

_HERE = Path(__file__).resolve().parent
_MOST = 1 << 22  # bytes of a file
_NOT_OF_C = (b"numba_", b"NRT_", b"PyErr", b"PyGIL", b"Py_")  # names that only Numba resolves


class MachineCode(NamedTuple):
    """An object file, and the name of the function in it."""

    symbol: str
    data: bytes


def kept(name: str, sources: Sequence[str]) -> MachineCode | None:
    """The code that was kept, where it is as it was."""
    try:
        for path in _places(name, sources):
            if path.is_file() and (found := _opened(read_file(path, _MOST))) is not None:
                return found
    except (OSError, ImportError):
        pass
    return None


def keep(name: str, sources: Sequence[str], code: MachineCode) -> None:
    """Keep code for other processes, where there is a folder for it and they can load it."""
    if any(foreign in code.data for foreign in _NOT_OF_C):
        return
    content = b"\0".join([code.symbol.encode(), code.data])
    content = hashlib.sha256(content).digest() + content
    for path in _places(name, sources):
        beside = path.with_name(f"{path.name}.{os.getpid()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            beside.write_bytes(content)
            beside.replace(path)
        except OSError:
            continue
        return


def _opened(content: bytes | None) -> MachineCode | None:
    if content is None or hashlib.sha256(content[32:]).digest() != content[:32]:
        return None
    symbol, _, data = content[32:].partition(b"\0")
    return MachineCode(symbol.decode(), data)


def _places(name: str, sources: Sequence[str]) -> Iterator[Path]:
    """Files in which code of this text for this machine may be."""
    import llvmlite

    digest = hashlib.sha256(f"{llvmlite.__version__} {sys.platform} {_processor()}".encode())
    for source in sources:
        digest.update((_HERE / f"{source}.py").read_bytes())
    file = f"{name}-{digest.hexdigest()[:24]}.code"
    if folder := os.environ.get("NUMBA_CACHE_DIR"):
        yield Path(folder) / file
        return
    yield _HERE / "__pycache__" / file
    if sys.platform == "win32":
        yield Path(os.environ.get("LOCALAPPDATA") or Path.home()) / "maskstat" / file
    else:
        yield Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "maskstat" / file


def _processor() -> str:
    """Its kind and what it can do, which code is made for."""
    from llvmlite import binding

    return f"{binding.get_process_triple()} {' '.join(_target_of(binding))}"


def _target_of(binding: Any) -> tuple[str, str]:
    return binding.get_host_cpu_name(), binding.get_host_cpu_features().flatten()


def _machine(binding: Any) -> Any:
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    cpu, features = _target_of(binding)
    return binding.Target.from_triple(binding.get_process_triple()).create_target_machine(
        cpu=cpu, features=features, opt=3, reloc="default", codemodel="jitdefault", jit=True
    )


def emitted(text: str) -> bytes:
    """The object file of a module in LLVM's language."""
    from llvmlite import binding

    machine = _machine(binding)
    return bytes(machine.emit_object(binding.parse_assembly(text)))


_engines: list[Any] = []  # their code goes when they go


def loaded_code(code: MachineCode) -> int:
    """The address of the function, which stays until the process ends."""
    from llvmlite import binding

    engine = binding.create_mcjit_compiler(binding.parse_assembly(""), _machine(binding))
    engine.add_object_file(binding.ObjectFileRef.from_data(code.data))
    engine.finalize_object()
    _engines.append(engine)
    return int(engine.get_function_address(code.symbol))
