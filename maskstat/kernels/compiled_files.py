"""The kernel for whole PNG files, compiled to machine code that runs without Numba."""

from __future__ import annotations

import re

from numba import cfunc, types

from maskstat.kernels import whole_files
from maskstat.kernels.compiling import OPTIONS
from maskstat.kernels.kept_code import MachineCode, emitted

_BYTES, _INTS, _NUMBER = types.CPointer(types.uint8), types.CPointer(types.int64), types.int64
_SIGNATURE = _NUMBER(
    _BYTES,
    *(_INTS,) * 2,
    *(_NUMBER,) * 4,
    *(_BYTES,) * 2,
    _NUMBER,
    _BYTES,
    _NUMBER,
    *(_INTS,) * 5,
)


def machine_code(arguments: int) -> MachineCode:
    """Compile `whole_files.tally_files`, which has so many arguments.

    Of what Numba makes only the function itself is taken, not the way into it from C: that knows
    exceptions, of which the kernel has none, and so it knows Numba and Python. The function has
    two arguments more: where its result goes, and where an exception would.

    Raises:
        RuntimeError: Numba makes another kind of function than that.
    """
    compiled = cfunc(_SIGNATURE, nopython=True, **OPTIONS)(whole_files.tally_files)
    symbol = compiled.native_name.removeprefix("cfunc.")
    text = compiled.inspect_llvm()
    name = re.escape(symbol)
    text = re.sub(rf'(?ms)^define [^\n]*@"?cfunc\.{name}"?\(.*?^\}}$', "", text)
    head = re.search(rf'(?m)^define [^@\n]*\bi32 @"?{name}"?\((.*)\)[^)]*\{{$', text)
    if head is None or len(re.findall(r"%[^\s,)]+(?=,|$)", head[1])) != arguments + 2:
        raise RuntimeError("another calling convention")
    return MachineCode(symbol, emitted(text))
