"""The command line: every command parses, makes one library call, and renders.

One module a command; modules here import nothing heavy at the top, so that `maskstat --help` is
quick. Errors are one line on stderr, and the exit code says what kind:

0 done, 1 error, 2 usage, 3 finished but some masks failed, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterable
from importlib import import_module
from typing import Annotated

import typer

from maskstat.cli.commands import CommandGroup, add
from maskstat.cli.plain_text import accept_all_text
from maskstat.cli.spelling import AsCommands
from maskstat.errors import MaskstatError, speaking
from maskstat.version import __version__

_INTERRUPTED = 130
EXIT_CODES = """
Exit codes: 0 done, 1 error (one line says what to do), 2 wrong usage, 3 finished but some masks
could not be counted, 130 interrupted (what was counted is kept).

'maskstat help COMMAND' says more of one.
"""

COMMANDS = (
    "scan",
    "show",
    "recommend",
    "weights",
    "costs",
    "exposure",
    "sampling",
    "check",
    "compare",
    "split",
    "class-index",
    "decide",
    "plot",
    "report",
    "merge",
    "export",
    "schemes",
    "presets",
    "plugins",
    "scans",
)
"""By name, in the order of `maskstat --help`."""


def app(commands: Iterable[str] = COMMANDS) -> typer.Typer:
    """The command line, or as much of it as some commands need: only their modules are imported."""
    made = typer.Typer(
        name="maskstat",
        cls=CommandGroup,
        help="Exact class statistics of segmentation masks, and the class weights they call for.",
        epilog=EXIT_CODES,
        context_settings={"help_option_names": ["-h", "--help"]},
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    for name in commands:
        add(made, import_module(f"maskstat.cli.{name.replace('-', '_')}"))
    made.callback()(_root)
    return made


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"maskstat {__version__}")
        raise typer.Exit()


def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version and leave.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line that was typed, and leave with its exit code."""
    # Python has none where the shell closed them (>&-), and print() would take the other one.
    sys.stdout, sys.stderr = (
        stream or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
        for stream in (sys.stdout, sys.stderr)
    )
    accept_all_text(sys.stdout)
    accept_all_text(sys.stderr)
    if not sys.warnoptions:  # what libraries warn about is for developers: python -W shows it
        warnings.simplefilter("ignore")
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code. No exception leaves it."""
    with speaking(AsCommands(arguments)):
        return _run(arguments)


def _run(arguments: list[str]) -> int:
    try:
        asked = _asking(arguments)
        commands = asked[:1] if asked[0] in COMMANDS else COMMANDS
        result = app(commands)(asked, prog_name="maskstat", standalone_mode=False)
    except BrokenPipeError:
        return _pipe_closed()
    except KeyboardInterrupt:
        result = _INTERRUPTED
    except MaskstatError as error:
        return _fail(str(error), error.exit_code)
    except SystemExit as exit_:
        if isinstance(exit_.__context__, BrokenPipeError):  # what Typer makes of one
            return _pipe_closed()
        result = exit_.code
    except OSError as error:
        return _refused_by_the_system(error)
    except Exception as error:
        return _other(error)
    if result == _INTERRUPTED:  # Typer answers Ctrl-C with the code alone
        return _fail("interrupted; what was counted is kept, the same command goes on", result)
    return result if isinstance(result, int) else 0


def _asking(arguments: list[str]) -> list[str]:
    """`help COMMAND`, `help` and nothing at all, as they are asked of every command."""
    if arguments[:1] == ["help"]:
        return [*arguments[1:2], "--help"]
    return arguments or ["--help"]


def _pipe_closed() -> int:
    """The reader of a pipe has seen enough; Python would complain again when it flushes."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _refused_by_the_system(error: OSError) -> int:
    """A full disk behind a pipe, say: what no library below has said in better words."""
    if os.environ.get("MASKSTAT_DEBUG"):
        raise error
    where = "" if error.filename is None else f"{error.filename}: "
    reason = error.strerror or " ".join(str(error).split())
    return _fail(f"{where}can't be read or written: {reason}; check space and permissions", 1)


def _other(error: Exception) -> int:
    """Usage errors, aborts and bugs."""
    # Typer brings its own copy of click or uses the installed one; both name these alike.
    if type(error).__name__ == "Abort":
        return _fail("interrupted", _INTERRUPTED)
    if hasattr(error, "format_message") and hasattr(error, "exit_code"):
        context = getattr(error, "ctx", None)
        command = context.command_path if context is not None else "maskstat"
        return _fail(f"{error.format_message()} (see '{command} --help')", error.exit_code)
    if os.environ.get("MASKSTAT_DEBUG"):
        raise error
    text = " ".join(str(error).split())
    return _fail(
        f"unexpected {type(error).__name__}: {text}; this is a bug: please report it with what"
        " MASKSTAT_DEBUG=1 prints",
        1,
    )


def _fail(message: str, code: int) -> int:
    from maskstat.naming import printable

    print(f"maskstat: {printable(message)}", file=sys.stderr, flush=True)
    return code
