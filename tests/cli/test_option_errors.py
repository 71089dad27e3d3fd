"""Every option has its error: one line that names what is wrong and says what to do.

The options come from the application itself, so a new one without a row in `option_table` fails
here. What an error must be is the same for all: the exit code that the documents give it, one line
on stderr, nothing on stdout, no new file, nothing that a terminal would obey.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st

from maskstat import cli, errors
from maskstat.cli import scan
from maskstat.cli.spelling import AsCommands
from tests.support import option_world
from tests.support.loops import at_least_one
from tests.support.option_cases import BEGINNINGS, SHARED, Case
from tests.support.option_table import HARMLESS, OWN_ROWS_ONLY, TABLE
from tests.support.paths import ROOT

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="paths are written with slashes")
USAGE, DONE = 2, 0

APP = typer.main.get_command(cli.app())
COMMANDS: dict[str, Any] = {"": APP, **APP.commands}  # type: ignore[attr-defined]


def called(parameter: Any) -> str:
    """What an option is called: its longest name; of an argument, its name in capitals."""
    if parameter.param_type_name == "argument":
        return str(parameter.name).upper()
    return str(max(parameter.opts, key=len))


PARAMETERS = {
    (command, called(parameter)): parameter
    for command, entry in COMMANDS.items()
    for parameter in entry.params
}


def rows_of(command: str, option: str) -> tuple[Case, ...]:
    """The rows of one option, as whole lines."""
    rows = TABLE.get(command, {}).get(option, ())
    if (command, option) not in OWN_ROWS_ONLY:
        rows += SHARED.get(option, ())
    return tuple(
        row
        if row.line.split(" ")[0] == command
        else row._replace(line=f"{BEGINNINGS[command]} {row.line}")
        for row in rows
    )


CASES = {pair: rows_of(*pair) for pair in PARAMETERS if pair[0] in BEGINNINGS}


class Outcome(NamedTuple):
    """What a command left behind: its exit code, what it printed, what is in its new files."""

    code: int
    out: str
    err: str
    new: dict[str, bytes]
    error: errors.MaskstatError | None = None


Run = Callable[..., Outcome]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which all commands run; none of them changes it."""
    return option_world.build(tmp_path_factory.mktemp("options"))


@pytest.fixture
def run(
    world: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Run]:
    """Run a command line in that folder; files that it makes are gone afterwards."""
    raised: list[errors.MaskstatError] = []

    def app(*words: Any, **options: Any) -> Any:
        try:
            return APP(*words, **options)  # as Typer puts it together, but once for all runs
        except errors.MaskstatError as error:
            raised.append(error)
            raise

    monkeypatch.setattr(cli, "app", lambda commands: app)
    monkeypatch.chdir(world)
    monkeypatch.delenv("MASKSTAT_DB", raising=False)
    before = contents(world)

    def run(*arguments: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["maskstat", *arguments])
        raised.clear()
        code = cli.run(list(arguments))
        after = contents(world)
        changed = [name for name, state in after.items() if before.get(name) != state]
        new = {name: (world / name).read_bytes() for name in changed}
        for name in new:
            (world / name).unlink()
        out, err = capfd.readouterr()
        return Outcome(code, out, err, new, raised[0] if raised else None)

    yield run
    assert contents(world) == before


def contents(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of every file, but that of the store, which keeps sums that it computed."""
    found: dict[str, tuple[int, int]] = {}
    for root, _, names in os.walk(folder):
        for name in names:
            status = os.stat(os.path.join(root, name))
            found[os.path.relpath(os.path.join(root, name), folder)] = (
                (0, 0) if name == "maskstat.db" else (status.st_size, status.st_mtime_ns)
            )
    return found


def assert_one_line(outcome: Outcome, *, prints: bool = False) -> None:
    """One line on stderr that is no traceback and no report of a bug, and nothing on stdout."""
    assert outcome.err.startswith("maskstat: "), outcome.err
    assert outcome.err.endswith("\n")
    assert outcome.err[:-1].isprintable(), outcome.err
    assert "unexpected" not in outcome.err or "extra argument" in outcome.err
    assert bool(outcome.out) == prints
    assert outcome.out.replace("\n", "").isprintable()


def test_every_option_of_every_command_has_its_error() -> None:
    assert set(BEGINNINGS) == set(COMMANDS) - {""}, "a new command needs its beginning"
    lacking = {pair for pair in PARAMETERS if not CASES.get(pair) and pair not in HARMLESS}
    assert not lacking, "a new option needs rows in tests/option_table.py"
    for pair, reason in at_least_one(HARMLESS.items()):
        assert getattr(PARAMETERS[pair], "is_flag", False), (
            f"{pair} takes a value, and values can be wrong"
        )
        assert not CASES.get(pair), f"{pair} has rows, and is said to need none"
        assert reason
    unknown = {(c, o) for c, rows in TABLE.items() for o in rows} - set(PARAMETERS)
    assert not unknown, "rows of options that there are not"
    assert set(PARAMETERS) >= OWN_ROWS_ONLY
    assert SHARED.keys() <= {option for _, option in PARAMETERS}


@pytest.mark.parametrize(
    ("pair", "case"),
    [pytest.param(p, c, id=f"{c.line[:90]}") for p, rows in CASES.items() for c in rows],
)
def test_what_is_wrong_is_said_in_one_line(
    run: Run, pair: tuple[str, str], case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in case.without:
        for module in [package, *(m for m in sys.modules if m.startswith(f"{package}."))]:
            monkeypatch.setitem(sys.modules, module, None)
        # This one imports Zarr as it is loaded.
        monkeypatch.delitem(sys.modules, "maskstat.readers.zarr_store", raising=False)
        monkeypatch.delattr("maskstat.readers.zarr_store", raising=False)
    outcome = run(*(word.replace("\\e", "\x1b") for word in split(case.line)))
    assert outcome.code == case.code, outcome.err
    assert_one_line(outcome, prints=case.prints)
    absent = re.search(r'pip install "maskstat\[\w+\]"', outcome.err)
    if absent is not None and absent[0] not in case.words:
        pytest.skip(f"needs an optional package: {absent[0]}")
    for word in at_least_one(case.words):
        assert word in outcome.err
    assert outcome.new.keys() <= {case.made}
    if outcome.error is not None and outcome.error.parameter is not None:
        option = AsCommands().argument(outcome.error.parameter, None)
        assert option in outcome.err
        given = COMMANDS[case.line.split(" ")[0]].params
        assert option in {o for p in given for o in (*p.opts, str(p.metavar).rstrip("."))}


def split(line: str) -> list[str]:
    """The words of a line; a backslash is one, unlike in a shell."""
    words = shlex.shlex(line, posix=True, punctuation_chars=False)
    words.whitespace_split, words.escape, words.commenters = True, "", ""
    return list(words)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda name: name or "maskstat")
def test_flags_take_no_value_and_unknown_options_are_named(run: Run, command: str) -> None:
    beginning = [command] if command else []
    flags = [
        option
        for (of, option), p in PARAMETERS.items()
        if of == command and getattr(p, "is_flag", False)
    ]
    for option in (*flags, "--nonsense"):
        outcome = run(*beginning, f"{option}=1")
        assert outcome.code == USAGE
        assert_one_line(outcome)
        assert option in outcome.err
        assert not outcome.new
    outcome = run("nonsense" if not command else "", *beginning)
    assert outcome.code == USAGE
    assert_one_line(outcome)


def test_an_option_without_its_value_is_named(run: Run) -> None:
    for (command, option), parameter in at_least_one(PARAMETERS.items()):
        if parameter.param_type_name == "option" and not parameter.is_flag:
            outcome = run(command, option)
            assert outcome.code == USAGE
            assert_one_line(outcome)
            assert option in outcome.err


@pytest.mark.parametrize("place", ["nowhere.db", "empty", "text.db", "list.txt/x.db"])
def test_the_store_of_the_environment_is_named(
    run: Run, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MASKSTAT_DB", place)
    outcome = run("show")
    assert outcome.code == 1
    assert_one_line(outcome)
    assert f"{place}: " in outcome.err


def test_exit_codes_are_those_of_the_documents() -> None:
    def classes(base: type[errors.MaskstatError]) -> Iterator[type[errors.MaskstatError]]:
        yield base
        for child in base.__subclasses__():
            yield from classes(child)

    raised = {kind.exit_code for kind in classes(errors.MaskstatError)}
    codes = {DONE, USAGE, *raised, scan.SOME_FAILED, cli._INTERRUPTED}
    text = (ROOT / "docs" / "commands.md").read_text("utf-8")
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)} == codes
    assert {int(code) for code in re.findall(r"\b(\d+) \w+", cli.EXIT_CODES)} == codes
    assert {case.code for rows in CASES.values() for case in rows} <= raised


def test_a_scan_that_could_not_count_all_says_so_with_its_own_code(run: Run) -> None:
    outcome = run("scan", "damaged", "--db", "kept.db")
    assert outcome.code == scan.SOME_FAILED
    assert "broken.npy" in outcome.out
    says = "'maskstat check --db kept.db' says which"
    assert outcome.err == f"exit code 3: 1 mask could not be counted; {says}\n"


# Behind each of these a text may say anything.
TEXTS = (
    "show --json --classes=",
    "show --json --ignore=",
    "show --json --nearest-colour=",
    "show --json --ignore=#",
    "show --scan=",
    "show --db=",
    "scans --remove=",
    "presets ",
    "weights --json --scheme=",
    "weights --json --normalize=",
    "weights --json --clip=",
    "weights --json --clip=0:",
    "weights --json --absent=",
    "weights --json --unlisted=",
    "weights --json --param=",
    "weights --json --scheme=enet --param=c=",
    "weights --json --scheme=power --param=alpha=",
    "weights --json --scheme=log --param=mu=",
    "weights --json --normalize=sum --scheme=effective-number --param=beta=",
    "weights --for=torch --json --batch-size=",
    "weights --predictor-confidence=",
    "weights --for=torch --batch-size=2 --json --seed=",
    "weights --for=",
    "weights --for=torch --batch-size=1 --best-effort --json --max-ratio=",
    "weights -o x.json --layout=",
    "weights -o x.json --clip=0.1:",
    "weights -o x.csv --scheme=power --param=alpha=",
    "weights -o x.txt --scheme=enet --param=c=",
    "sampling -o x.csv --param=threshold=",
    "sampling -o x.json --param=threshold=",
    "costs --json --predictor-confidence=",
    "costs --json --scheme=",
    "sampling --json --method=",
    "sampling --json --param=threshold=",
    "sampling --json --method=inverse-frequency --param=power=",
    "sampling --json --method=target-mix --param=effective=",
    "exposure --json --crop=",
    "exposure --json --crop=2 --crops=1 --scale=",
    "exposure --json --crop=2 --cat-max-ratio=",
    "exposure --json --crop=2 --batch-size=",
    "exposure --json --recipe=",
    "check --json --min-masks=",
    "check --json --min-components=",
    "check --json --fail-on=",
    "check --json --images=masks --mask-suffix=",
    "compare masks fine --json --fail-above=js=",
    "compare masks fine --json --fail-above=",
    "compare masks fine --json --fail-below=p=",
    "compare masks fine --json --fail-below=",
    "report --format=",
    "report --json --classes=",
    "plot classes -o absent/x.png --dpi=",
    "plot classes -o absent/x.png --order=",
    "plot ",
    "export --layout=",
    "export --format=",
    "export --classes=",
    "scan masks --db=kept.db --json --pages=",
    "scan masks --db=kept.db --channels=",
    "scan arrays --db=kept.db --array=",
    "scan masks --db=kept.db --json --value-divisor=",
    "scan masks --db=kept.db --json --name=",
    "scan masks --db=kept.db --include=",
    "scan table.csv --db=kept.db --column=",
    "scan masks --db=kept.db --executor=",
    "scan masks --db=kept.db --grid=",
    "scan masks --db=kept.db --json --group-by=",
    "show --json --group-by=",
)
HOSTILE = (
    "",
    " ",
    "nan",
    "-nan",
    "inf",
    "-inf",
    "1e999",
    "-1e999",
    "1e308",
    "5e-324",
    "1e-320",
    "-0",
    "0",
    "1",
    "-1",
    "00",
    "0.5",
    "0.3",
    "1_0",
    "٣",
    "½",
    "9" * 25,
    "9" * 5000,
    str(2**63 - 1),
    str(-(2**63)),
    "1e3",
    "0x10",
    "+4",
    "1:2",
    "a=b",
    "=",
    "=1",
    "--",
    "-",
    "#000000",
    "#00000000",
    "#g",
    "\x1b[2J",
    "a\nb",
    "\udcff",
    "..",
    ".",
    "/",
    "~",
    "*",
    "[",
    "%s",
    "{}",
    "'",
    '"',
    "\\",
)
CHOSEN = ("enet", "sum", "one", "zero", "keras", "torch", "bitmask", "all", "dict", "list", "4")


@st.composite
def texts(draw: st.DrawFn) -> str:
    """What somebody may type, or a program pass on: numbers and what only looks like one."""
    return draw(
        st.sampled_from(HOSTILE)
        | st.sampled_from(CHOSEN)
        | st.floats().map(repr)
        | st.integers().map(str)
        | st.text(st.characters(exclude_characters="\0", exclude_categories=()), max_size=8)
    )


def assert_documented(outcome: Outcome) -> None:
    """An exit code that the documents know, an error of one line, and never a NaN."""
    assert outcome.code in {0, 1, 2, 3}
    if outcome.code in {1, 2}:
        assert_one_line(outcome, prints=bool(outcome.out))
    if outcome.out.startswith(("{", "[")):
        json.loads(outcome.out, parse_constant=not_a_number)
    for name, data in outcome.new.items():
        if name == "x.json":
            json.loads(data, parse_constant=not_a_number)
        elif name in {"x.csv", "x.txt"}:
            assert not {b"nan", b"inf", b"-inf"} & set(re.split(rb"[\s,]+", data.lower()))


def not_a_number(text: str) -> None:
    raise AssertionError(f"{text} in JSON")


@pytest.mark.parametrize("line", TEXTS)
@given(text=texts())
@settings(max_examples=20)
def test_any_text_gets_a_documented_answer(run: Run, line: str, text: str) -> None:
    beginning, _, last = line.rpartition(" ")
    if not last and text.startswith("-"):
        return  # another option
    assert_documented(run(*beginning.split(), f"{last}{text}"))


LEAVES = st.none() | st.booleans() | st.integers(-3, 300) | st.floats() | st.sampled_from(HOSTILE)
KEYS = st.sampled_from(
    (
        "classes",
        "names",
        "name",
        "value",
        "values",
        "colour",
        "colours",
        "ignore",
        "ignore_255",
        "ignore_colours",
        "nearest_colour",
        "id2label",
        "0",
        "1",
        "origin",
        "weights",
        "format",
    )
)
DOCUMENTS = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4)
)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("any.json", "show --json --classes any.json"),
        ("any.yaml", "show --json --classes any.yaml"),
        ("any.txt", "show --json --classes any.txt"),
        ("any.json", "costs --json --weights any.json"),
        ("any.yaml", "costs --json --weights any.yaml"),
        ("any.json", "weights --json --cost-matrix any.json"),
        ("any.csv", "weights --json --cost-matrix any.csv"),
        ("any.json", "scan masks --db kept.db --panoptic any.json"),
    ],
)
@given(document=DOCUMENTS, noise=st.binary(max_size=20), is_noise=st.booleans())
@settings(max_examples=25)
def test_any_file_gets_a_documented_answer(
    run: Run, world: Path, name: str, line: str, document: object, noise: bytes, is_noise: bool
) -> None:
    data = noise if is_noise else json.dumps(document).encode()
    (world / name).write_bytes(data)
    assert_documented(run(*line.split()))


def _shell(script: str, world: Path) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "MASKSTAT": f"{sys.executable} -m maskstat",
    }
    environment.pop("MASKSTAT_DB", None)
    return subprocess.run(
        script,
        shell=True,
        cwd=world,
        env=environment,
        check=False,
        timeout=60,
        capture_output=True,
        text=True,
    )


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no full device")
@pytest.mark.parametrize("line", ["show", "presets voc", "--version"])
def test_what_is_printed_does_not_fit(world: Path, line: str) -> None:
    finished = _shell(f"$MASKSTAT {line} > /dev/full", world)
    assert finished.returncode == 1
    assert re.fullmatch(r"maskstat: .*written: No space left on device; .*\n", finished.stderr)


@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell")
def test_closed_streams_are_nobodys(world: Path) -> None:
    finished = _shell("$MASKSTAT show --json >&- && $MASKSTAT show --scan x 2>&-", world)
    assert (finished.returncode, finished.stdout, finished.stderr) == (1, "", "")


unprivileged = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is refused to root"
)


@unprivileged
@pytest.mark.parametrize(
    ("closed", "mode", "line", "where"),
    [
        ("named.yaml", 0, "show --classes named.yaml", "named.yaml"),
        ("maskstat.db", 0, "show", "maskstat.db"),
        ("weights.json", 0, "costs --weights weights.json", "weights.json"),
        ("matrix.txt", 0, "weights --cost-matrix matrix.txt", "matrix.txt"),
        ("panoptic.json", 0, "scan masks --panoptic panoptic.json", "panoptic.json"),
        ("list.txt", 0, "scan list.txt --db new.db", "list.txt"),
        ("masks", 0, "scan masks --db new.db", "masks"),
        ("empty", 0o500, "weights -o empty/w.json", "empty/w.json"),
        ("empty", 0o500, "plot classes -o empty/x.png", "empty/x.png"),
        ("empty", 0o500, "report -o empty/r.html", "empty/r.html"),
        ("empty", 0o500, "scan masks --db empty/new.db", "empty/new.db"),
    ],
)
def test_what_the_user_may_not(
    run: Run, world: Path, closed: str, mode: int, line: str, where: str
) -> None:
    before = (world / closed).stat().st_mode
    os.chmod(world / closed, mode)
    try:
        outcome = run(*split(line))
    finally:
        os.chmod(world / closed, before)
    assert outcome.code == 1
    assert_one_line(outcome)
    assert where in outcome.err
    assert outcome.new.keys() <= {"new.db"}
