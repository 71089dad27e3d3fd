"""Errors: the tree that its module describes, texts that know parameters, errors that travel."""

from __future__ import annotations

import ast
import inspect
import pickle
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import maskstat as ms
from maskstat import errors
from maskstat.errors import (
    Blank,
    MaskstatError,
    MissingExtraError,
    ParameterError,
    argument,
    call,
    speaking,
    spelled,
)
from maskstat.weights.equal_cost import InfeasibleEqualCost
from tests.support.paths import ROOT
from tests.support.typed import typed

PACKAGE = ROOT / "maskstat"
# --- the tree ---------------------------------------------------------------------------------


def tree(kind: type[BaseException], depth: int = 0) -> Iterator[tuple[int, type[BaseException]]]:
    yield depth, kind
    for child in kind.__subclasses__():
        if child.__module__.startswith("maskstat."):
            yield from tree(child, depth + 1)


def test_the_docstring_shows_every_exception_below_its_base() -> None:
    assert InfeasibleEqualCost.__module__ == "maskstat.weights.equal_cost"
    assert errors.__doc__ is not None
    lines = re.findall(r"^ {4}( *)(\w+(?:Error|EqualCost))\b", errors.__doc__, re.MULTILINE)
    shown: set[tuple[str, str | None]] = set()
    above: list[str] = []
    for blanks, name in lines:
        depth = len(blanks) // 2
        del above[depth:]
        shown.add((name, above[-1] if above else None))
        above.append(name)
    defined = {
        (kind.__name__, next((b.__name__ for b in kind.__bases__ if depth), None))
        for depth, kind in tree(MaskstatError)
    }
    assert len(shown) == len(lines) > 10
    assert shown == defined


def test_python_users_catch_what_they_expect(tmp_path: Path) -> None:
    assert issubclass(ParameterError, ValueError)
    assert issubclass(MissingExtraError, ImportError)
    with pytest.raises(ValueError, match="nearest_colour: "):
        ms.scan(tmp_path, nearest_colour=300)


@pytest.mark.parametrize("kind", [kind for _, kind in tree(MaskstatError)])
def test_errors_travel_between_processes(kind: type[MaskstatError]) -> None:
    remedy = f"use {argument('batch_size', 8)}"
    error = kind("wrong", where="a.png", remedy=remedy, parameter="batch_size")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert vars(again) == vars(error)
    assert again.args == error.args
    assert str(again) == str(error) == "batch_size a.png: wrong; use batch_size=8"
    assert typed(again.remedy) == "use --batch-size 8"


# --- who writes parameters and calls ----------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "python", "command"),
    [
        (argument("nearest_colour"), "nearest_colour", "--nearest-colour"),
        (argument("rescan", True), "rescan=True", "--rescan"),
        (argument("unlisted", "ignore"), "unlisted='ignore'", "--unlisted ignore"),
        (
            argument("ignore", [9, "#090909"]),
            "ignore=[9, '#090909']",
            "--ignore 9 --ignore '#090909'",
        ),
        (argument("clip", (0.1, 10)), "clip=(0.1, 10)", "--clip 0.1:10"),
        (argument("classes", Blank("FILE")), "classes=FILE", "--classes FILE"),
        (argument("db", "a b\x1b"), "db='a b\\x1b'", "--db 'a b\\x1b'"),
        (argument("output"), "output", "-o"),
        (
            argument("parameters", {"beta": 0.9}),
            "parameters['beta'] = 0.9",
            "--param beta=0.9",
        ),
        (
            call("scan", "my masks", profile=True, ignore=[0, 255]),
            "scan('my masks', profile=True, ignore=[0, 255])",
            "maskstat scan 'my masks' --profile --ignore 0 --ignore 255",
        ),
        (call("Scan.check"), "Scan.check()", "maskstat check"),
        (
            call("Scan.weights", scan="a b", scheme="power", parameters={"alpha": 0.5}),
            "open_scan('maskstat.db', 'a b').weights(scheme='power', parameters={'alpha': 0.5})",
            "maskstat weights --scan 'a b' --scheme power --param alpha=0.5",
        ),
        (
            call("Scan.weights", scan="train", seen={"crop": 128}, scheme="sqrt"),
            "open_scan('maskstat.db', 'train').exposure(crop=128).weights(scheme='sqrt')",
            "maskstat weights --scan train --scheme sqrt --crop 128",
        ),
        (
            call("Scan.weights", db="x.db", scan="train", out="w.json"),
            "open_scan('x.db', 'train').weights().save('w.json')",
            "maskstat weights --db x.db --scan train -o w.json",
        ),
        (call("open_scan"), "open_scan()", "maskstat show"),
        (
            "a \x01 name \x02 of nothing",
            "a \x01 name \x02 of nothing",
            "a \x01 name \x02 of nothing",
        ),
    ],
)
def test_python_and_the_command_line(text: str, python: str, command: str) -> None:
    assert spelled(text) == python
    assert typed(text) == command
    assert spelled(text) == python


def test_a_spelling_ends_with_its_block() -> None:
    class Loud(errors.InPython):
        def argument(self, parameter: str, value: object, /) -> str:
            return parameter.upper()

    with pytest.raises(RuntimeError, match=r"^GRID$"), speaking(Loud()):
        raise RuntimeError(spelled(argument("grid", 3)))
    assert spelled(argument("grid", 3)) == "grid=3"


# --- no text below the command line knows options ---------------------------------------------

COMMANDS = (
    "scan|show|weights|costs|sampling|exposure|check|compare|split|class-index|plot|report|merge"
    "|export|presets|scans"
)
OPTION = re.compile(rf"(?<![\w-])--[a-z]|(?<!\w)-o\b|\bmaskstat ({COMMANDS})\b")
FORMATS = {"maskstat weights", "maskstat sampling", "maskstat split"}  # what files say they are


def literals(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Texts of a module, parts of f-strings among them, and not its docstrings."""
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in docstrings:
            yield node.lineno, str(node.value)


def below_the_command_line() -> list[Path]:
    return [
        path
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.relative_to(PACKAGE).parts[0] != "cli"
    ]


def test_no_text_below_the_command_line_has_an_option_or_a_command() -> None:
    paths = below_the_command_line()
    assert len(paths) > 100
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {text!r}"
        for path in paths
        for line, text in literals(ast.parse(path.read_text("utf-8")))
        if OPTION.search(text) and text not in FORMATS
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "line", ["x = 'say --classes'", "x = f'{1}: -o'", "raise E(f'type: maskstat scan {x}')"]
)
def test_an_option_in_a_text_is_seen(line: str) -> None:
    (found,) = (text for _, text in literals(ast.parse(line)) if OPTION.search(text))
    assert found


# --- a parameter that is named exists ---------------------------------------------------------


def parameters_of_public_functions(*, of_commands: bool) -> set[str]:
    found = set()
    for path in PACKAGE.rglob("*.py"):
        if (path.relative_to(PACKAGE).parts[0] == "cli") != of_commands:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef) and (
                not node.name.startswith("_") or node.name == "__init__"
            ):
                args = node.args
                found |= {a.arg for a in (*args.posonlyargs, *args.args, *args.kwonlyargs)}
            elif isinstance(node, ast.ClassDef):  # fields of data classes and options of readers
                found |= {
                    entry.target.id
                    for entry in node.body
                    if isinstance(entry, ast.AnnAssign) and isinstance(entry.target, ast.Name)
                }
    return found


def named_parameters() -> Iterator[tuple[str, str]]:
    """(where, name) of every parameter that an error or a text names by a literal."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            where = f"{path.relative_to(ROOT)}:{node.lineno}"
            values = [k.value for k in node.keywords if k.arg == "parameter"]
            if isinstance(node.func, ast.Name) and node.func.id == "argument":
                values += node.args[:1]
            for value in values:
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    yield where, value.value


def test_every_parameter_that_is_named_is_one() -> None:
    named = list(named_parameters())
    assert len(named) > 60
    known = parameters_of_public_functions(of_commands=False)
    options = known | parameters_of_public_functions(of_commands=True)
    wrong = [
        f"{where}: {name}"
        for where, name in named
        if name not in (options if where.startswith("maskstat/cli/") else known)
    ]
    assert wrong == []


def named_calls() -> Iterator[tuple[str, str, list[str]]]:
    """(where, function, keywords) of every call that a text tells the reader to make."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == "call"
                and node.args
                and isinstance(node.args[0], ast.Constant)
            ):
                keywords = [keyword.arg for keyword in node.keywords if keyword.arg is not None]
                yield f"{path.relative_to(ROOT)}:{node.lineno}", str(node.args[0].value), keywords


def test_every_call_that_is_named_can_be_made() -> None:
    calls = list(named_calls())
    assert len(calls) > 10
    for where, function, keywords in calls:
        made: Any = ms
        for name in function.split("."):
            assert hasattr(made, name), f"{where}: there is no {function}"
            made = getattr(made, name)
        known = inspect.signature(made)
        if "out" in keywords and function.startswith("Scan."):  # where what it returns is saved
            keywords.remove("out")
            assert hasattr(getattr(ms, known.return_annotation), "save"), where
        assert set(keywords) <= known.parameters.keys(), f"{where}: {function} takes no such one"


# --- Python users read Python's names ---------------------------------------------------------


def counts(tmp_path: Path) -> ms.Scan:
    np.save(tmp_path / "m.npy", np.array([[0, 1], [1, 1]], np.uint8))
    return ms.scan(tmp_path, classes=2)


WRONG: list[tuple[str, Callable[[Any, Path], object]]] = [
    ("classes nothing", lambda scan, _: scan.under(classes="nothing")),
    ("classes", lambda scan, _: scan.under(classes=0)),
    ("ignore", lambda scan, _: scan.under(ignore="red")),
    ("nearest_colour", lambda scan, _: scan.under(nearest_colour=256)),
    ("grid", lambda scan, path: ms.scan(path, classes=2, profile=True, grid=0)),
    ("scheme", lambda scan, _: scan.weights("nothing")),
    ("parameters alpha", lambda scan, _: scan.weights("power", parameters={"alpha": -1})),
    ("parameters", lambda scan, _: scan.weights("power", parameters={"nothing": 1})),
    ("normalize", lambda scan, _: scan.weights(normalize="nothing")),
    ("clip", lambda scan, _: scan.weights(clip=(2, 1))),
    ("absent", lambda scan, _: scan.weights(absent="nothing")),
    ("unlisted", lambda scan, _: scan.weights(unlisted="iggnore")),
    ("average", lambda scan, _: scan.weights(average="jax")),
    ("average", lambda scan, _: scan.weights(average="batch")),
    ("max_ratio", lambda scan, _: scan.weights(max_ratio=2)),
    ("batch_size", lambda scan, _: scan.weights(average="batch", batch_size=0)),
    ("predictor_confidence", lambda scan, _: scan.costs(predictor_confidence=2)),
    ("method", lambda scan, _: scan.sampling("nothing")),
    ("recipe", lambda scan, _: scan.exposure()),
    ("recipe", lambda scan, _: scan.exposure("nothing")),
    ("crop", lambda scan, _: scan.exposure(crop=0)),
    ("scale", lambda scan, _: scan.exposure(crop=1, scale="2:1")),
    ("cat_max_ratio", lambda scan, _: scan.exposure(crop=1, cat_max_ratio=2)),
    ("crops", lambda scan, _: scan.exposure(crop=1, crops=0)),
    ("batch_size", lambda scan, _: scan.exposure(crop=1, batch_size=0)),
    ("min_masks", lambda scan, _: scan.check(min_masks=-1)),
    ("against", lambda scan, _: scan.check(against=scan)),
    ("kind", lambda scan, _: scan.plot("nothing")),
    ("order", lambda scan, _: scan.plot("classes", order="nothing")),
    ("layout", lambda scan, path: scan.export(path / "x.csv", layout="nothing")),
    ("format", lambda scan, path: scan.export(path / "x.csv", format="nothing")),
    ("path", lambda scan, path: scan.export(path / "x.xlsx")),
    ("executor", lambda scan, path: ms.scan(path, executor="nothing")),
    ("channels", lambda scan, path: ms.scan(path, channels="nothing")),
    ("prefer", lambda scan, path: ms.merge([path / "x.db"], path / "y.db", prefer="x")),
]


@pytest.mark.parametrize(("begins", "wrong"), WRONG, ids=[begins for begins, _ in WRONG])
def test_python_users_read_the_name_of_their_parameter(
    begins: str, wrong: Callable[[Any, Path], object], tmp_path: Path
) -> None:
    with counts(tmp_path) as scan, pytest.raises(MaskstatError) as caught:
        wrong(scan, tmp_path)
    assert caught.value.parameter == begins.split()[0]
    assert str(caught.value).startswith(f"{begins}: ")
    assert not re.search(r"--[a-z]|\x01|\x02", str(caught.value))


def test_where_somebody_must_decide_the_text_is_python(tmp_path: Path) -> None:
    """What to write next can be pasted."""
    np.save(tmp_path / "m.npy", np.array([[0, 1], [9, 9]], np.uint8))
    with (
        ms.scan(tmp_path, classes=2) as scan,
        pytest.raises(
            MaskstatError, match=r"; ignore=\[9\] where it is void; classes=10 where it is a class$"
        ),
    ):
        scan.weights()


def test_every_error_has_a_signature_for_context() -> None:
    known = {"self", "problem", "where", "remedy", "parameter"}
    assert set(inspect.signature(MaskstatError.__init__).parameters) == known
