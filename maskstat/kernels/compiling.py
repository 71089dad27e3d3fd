"""How kernels are compiled: without the GIL, without checks, cached where a folder can be written.

Numba looks for a cache folder itself: NUMBA_CACHE_DIR, then `__pycache__` beside the source, then
the user's cache folder. Where none can be written, kernels are compiled anew in each process.

A cached kernel is renewed when *its own* source file changes, not when a module it draws on does:
after editing `vector` or `png_filters` remove `__pycache__/*.nbi` (installing a package does so).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from numba import njit
from numba.core.compiler_lock import global_compiler_lock

from maskstat.kernels import loading

OPTIONS = {"boundscheck": False, "error_model": "numpy"}


_without_folder: set[str] = set()


def compiled(function: Callable[..., Any]) -> Any:
    """A kernel that Python calls: releases the GIL and is kept in Numba's cache."""
    try:
        return njit(cache=True, nogil=True, **OPTIONS)(function)
    except RuntimeError:  # no cache folder can be written
        _without_folder.add(function.__name__)
        return uncached(function)


def has_cache() -> bool:
    """Whether Numba found a folder to keep the kernels in that have been defined so far."""
    return not _without_folder


def uncached(function: Callable[..., Any]) -> Any:
    """The same without the cache."""
    return njit(nogil=True, **OPTIONS)(function)


def inlined(function: Callable[..., Any]) -> Any:
    """A part of a kernel, always inlined."""
    return njit(forceinline=True, nogil=True, **OPTIONS)(function)


def outlined(function: Callable[..., Any]) -> Any:
    """A part of a kernel that stays a function of its own, so that its loops keep the registers."""
    return njit(forceinline=False, nogil=True, **OPTIONS)(function)


def loaded(kernel: Any, signature: tuple[Any, ...]) -> Any:
    """The kernel, ready for `signature`: from the cache, or compiled.

    A cache that turns out broken, full or foreign must not stop anybody: then without it.
    """
    with loading.lock:
        try:
            kernel.compile(signature)
        except Exception:
            kernel = uncached(kernel.py_func)
            kernel.compile(signature)
    return kernel


def are_cached(kernels: Iterable[tuple[Any, tuple[Any, ...]]]) -> bool:
    """Whether `loaded` will find kernels in the cache; False where that cannot be told."""
    try:
        with loading.lock, global_compiler_lock:  # the latter for kernels of others
            return all(
                kernel._cache.load_overload(signature, kernel.targetctx) is not None
                for kernel, signature in kernels
            )
    except Exception:  # Numba's internals: whatever they do, it only means "not known"
        return False
