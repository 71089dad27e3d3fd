"""Checks of the Keras side on every backend: one fresh interpreter a backend for all of them.

A module of checks, named in MODULES, holds functions decorated with `check`. In the child all of
them run, and what failed comes back as text, so that a test each can say so. Keras chooses its
backend once a process, and importing TensorFlow takes seconds: neither belongs into the process
that runs the tests.
"""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.util
import json
import os
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Callable

import pytest

from tests.support.paths import ROOT, SUPPORT

BACKENDS = ("tensorflow", "torch", "jax")
MODULES = (
    "keras_loss_checks",
    "keras_training_checks",
    "keras_adapter_checks",
    "keras_binary_checks",
    "keras_schedule_checks",
)
SKIPPED = "skipped: "

Check = Callable[[], None]
CHECKS: dict[str, dict[str, Check]] = {}


def check(*backends: str) -> Callable[[Check], Check]:
    """Register a check, of the named backends or of all."""

    def register(function: Check) -> Check:
        if not backends or os.environ["KERAS_BACKEND"] in backends:
            CHECKS.setdefault(function.__module__.rpartition(".")[2], {})[function.__name__] = (
                function
            )
        return function

    return register


def checks_of(module: str) -> list[tuple[str, str]]:
    """(backend, name) of a module's checks, read from its text: importing it chooses a backend."""
    found = []
    for node in ast.parse((SUPPORT / f"{module}.py").read_text(encoding="utf-8")).body:
        for decorator in getattr(node, "decorator_list", ()):
            backends = [constant.value for constant in decorator.args] or BACKENDS
            found += [(backend, node.name) for backend in backends]
    return sorted(found, key=lambda pair: BACKENDS.index(pair[0]))


@functools.cache
def report(backend: str) -> dict[str, str]:
    """What became of every check, by "module.name": "", or why not; "" is about them all."""
    for name in ("keras", backend):
        if importlib.util.find_spec(name) is None:
            return {"": f"{SKIPPED}{name} is not installed"}
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "PYTHONPATH": str(ROOT),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "",
        "JAX_PLATFORMS": "cpu",
        "JAX_ENABLE_X64": "1",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [sys.executable, "-m", __name__],
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    if done.returncode != 0:
        return {"": f"the interpreter of {backend} ended with {done.returncode}:\n{done.stderr}"}
    return dict(json.loads(done.stdout.splitlines()[-1]))


def require(backend: str, module: str, name: str) -> None:
    """Fail or skip as the check did."""
    outcomes = report(backend)
    outcome = outcomes.get("", "") or outcomes.get(module, "") or outcomes[f"{module}.{name}"]
    if outcome.startswith(SKIPPED):
        pytest.skip(outcome.removeprefix(SKIPPED))
    assert outcome == "", outcome


def main() -> None:
    """In the child: run all checks with warnings as errors; the last line printed is the report."""
    if os.environ["KERAS_BACKEND"] != "tensorflow":
        sys.modules["tensorflow"] = None  # type: ignore[assignment]  # others must do without
    # The checks register themselves with the module of this name, not with this script.
    checks = importlib.import_module("tests.support.keras_backends").CHECKS
    outcomes = {}
    for module in MODULES:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            outcomes[module] = outcome(
                lambda module=module: importlib.import_module(f"tests.support.{module}")
            )
        for name, function in checks.get(module, {}).items():
            start = time.perf_counter()
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                # Keras asks its tensors for arrays in a way that NumPy 2 has deprecated.
                warnings.filterwarnings("ignore", "__array__ implementation doesn't accept")
                outcomes[f"{module}.{name}"] = outcome(function)
            print(f"{name}: {time.perf_counter() - start:.2f} s", flush=True)
    print(json.dumps(outcomes))


def outcome(function: Callable[[], object]) -> str:
    """Nothing, or why a function failed."""
    try:
        function()
    except Exception:
        return traceback.format_exc(limit=-6)
    return ""


if __name__ == "__main__":
    main()
