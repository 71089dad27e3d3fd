"""Options that several commands share, and how they find the scan they work on."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from maskstat.cli.values import file, number, whole, word
from maskstat.files.documents.base import LAYOUTS, Layout
from maskstat.naming import printable
from maskstat.render.plots.choices import ORDERS, Order
from maskstat.values.given import AMOUNTS, GIVEN, Amount, Given
from maskstat.weights.choices import AVERAGES, WEIGHT_LAYOUTS, Average, WeightLayout

if TYPE_CHECKING:
    from rich.console import Console

    from maskstat.api.scan import Scan
    from maskstat.render.terminal.rows import RowChoice
    from maskstat.scanning.stored_scan import StoredScan

_WIDTH_WITHOUT_TERMINAL = 240  # files and pipes have no edge to wrap at
_MOST_ROWS_ON_SCREEN = 40
_MOST_ROWS_IN_PIPES = 1000


def choice(
    *names: str,
    known: Sequence[str],
    help: str,
    also: Mapping[str, str] | None = None,
    metavar: str | None = None,
) -> Any:
    """An option that takes one of a few words, and completes them.

    Args:
        names: the option's.
        known: the words.
        help: what it does.
        also: other words for them, which are understood but not shown.
        metavar: the words in short, where all of them make no line.
    """
    words = (*known, *(also or {}))
    return typer.Option(
        *names,
        metavar=metavar or "|".join(known),
        parser=word(known, also or {}),
        autocompletion=beginning(lambda: words),
        help=help,
    )


def registered(*names: str, help: str, known: Callable[[], Iterable[str]]) -> Any:
    """An option that takes a registered name; `known` lists them for completion only."""
    return typer.Option(*names, metavar="NAME", autocompletion=beginning(known), help=help)


def beginning(known: Callable[[], Iterable[str]]) -> Callable[[str], list[str]]:
    """Completion: the known words that begin with what was typed."""

    def complete(incomplete: str) -> list[str]:
        return [text for text in known() if text.startswith(incomplete)]

    return complete


def stored_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Completion: names of the scans in the store."""
    from maskstat.api.stores import scans
    from maskstat.errors import MaskstatError

    try:
        names = [one.name for one in scans(database(ctx.params.get("db")))]
    except MaskstatError:
        return []
    return beginning(lambda: names)(incomplete)


def preset_names() -> Iterable[str]:
    """Names of the catalogues that are built in, and of plugins'."""
    from maskstat.values.catalog_files import PLUGINS
    from maskstat.values.presets import preset_names

    return *preset_names(), *PLUGINS.names


def output_file(help: str) -> Any:
    """The option `-o`."""
    return typer.Option("-o", "--output", metavar="FILE", parser=file, help=help)


def scheme_names() -> Iterable[str]:
    """Names of the weight schemes, and of plugins'."""
    from maskstat.weights.schemes import PLUGINS, SCHEMES

    return *SCHEMES, *PLUGINS.names


Database = Annotated[
    Path | None,
    typer.Option(
        "--db",
        metavar="FILE",
        parser=file,
        help="The store of scans. Default: $MASKSTAT_DB, or maskstat.db in this folder.",
    ),
]
ScanName = Annotated[
    str | None,
    typer.Option(
        "--scan",
        metavar="NAME",
        autocompletion=stored_names,
        help="Which scan, or its split (train); default: the latest, of splits the one to train "
        "on.",
    ),
]
ClassesOption = Annotated[
    str | None,
    typer.Option(
        "--classes",
        metavar="K|FILE|PRESET",
        autocompletion=beginning(preset_names),
        help="A number of classes, a catalogue (YAML, JSON), a table or list of classes (CSV, TSV, "
        "text), a class file of another tool, or a preset. Changing it later decodes nothing "
        "again.",
    ),
]
IgnoreOption = Annotated[
    list[str] | None,
    typer.Option(
        "--ignore", metavar="VALUE", help="A raw value or '#rrggbb' to leave out. Repeatable."
    ),
]
ReduceZeroLabelOption = Annotated[
    bool,
    typer.Option(
        "--reduce-zero-label",
        help="Labels begin at 1 and 0 is void: class k is the value k + 1 (ADE20K).",
    ),
]
GroupByOption = Annotated[
    str | None,
    typer.Option(
        "--group-by",
        metavar="RULE",
        help="Masks of one video, patient, scene or tile, which count once in standard errors. A "
        "regular expression: the part of the name that it captures; folder; file (of planes); "
        "column:NAME of the table that lists the masks; mask: none. Nothing is decoded.",
    ),
]
CountsOption = Annotated[
    str | None,
    typer.Option(
        "--counts",
        metavar="FILE|N,N,...",
        help="Instead of a scan: counts or shares that you have, a name and a number a class "
        "(CSV, TSV, JSON, YAML; a full weight file), or numbers in the order of the classes.",
    ),
]
UnitOption = Annotated[
    Given | None,
    choice("--unit", known=GIVEN, help="What --counts are, where they could be two of these."),
]
MeasureOption = Annotated[
    Amount,
    choice(
        "--measure",
        known=AMOUNTS,
        help="What shares are of: pixels, or volume, where voxels differ in size: as if all masks "
        "were resampled to one spacing.",
    ),
]
OrderOption = Annotated[
    Order | None,
    choice("--order", known=ORDERS, help="Of the classes in the table. Default: frequency."),
]
AllOption = Annotated[
    bool,
    typer.Option(
        "--all",
        help="Print every class. Otherwise of more than 40 (in a pipe: 1,000) only the first and "
        "the last of the order are shown.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Parameters = Annotated[
    list[str] | None,
    typer.Option("--param", metavar="NAME=VALUE", help="A parameter of the formula. Repeatable."),
]
TableOutput = Annotated[Path | None, output_file("Write to .json, .yaml, .csv, .txt or .npy.")]
TableLayout = Annotated[
    Layout | None,
    choice(
        "--layout",
        known=LAYOUTS,
        help="Of the file. full, the default: with names and provenance; list: plain numbers "
        "(MMSegmentation, torch.tensor); dict: by index (Keras' class_weight of one label an "
        "image; for masks take maskstat.keras.CrossEntropy and the full file).",
    ),
]
WeightLayoutOption = Annotated[
    WeightLayout | None,
    choice(
        "--layout",
        known=WEIGHT_LAYOUTS,
        help="Of the file. full, the default: with names and provenance; list: plain numbers "
        "(MMSegmentation, torch.tensor); dict: by index (Keras' class_weight of one label an "
        "image; for masks take maskstat.keras.CrossEntropy and the full file); pos-weight: the "
        "number w1/w0 of two classes (BCEWithLogitsLoss).",
    ),
]
AllowIncomplete = Annotated[
    bool,
    typer.Option(
        "--allow-incomplete",
        help="Take what is counted of a scan that was interrupted; files say so.",
    ),
]
AverageOption = Annotated[
    Average | None,
    choice(
        "--average",
        "--for",
        known=AVERAGES,
        also={"keras": "pixel", "torch": "batch"},
        help="How the loss is averaged. pixel, the default: a plain mean or sum (--for keras); "
        "batch: every batch divided by its own sum of weights (--for torch).",
    ),
]
BatchSize = Annotated[
    int | None,
    typer.Option(
        "--batch-size",
        metavar="S",
        parser=whole(1),
        help="For batches: masks that one process averages over; gradient accumulation does not"
        " change it.",
    ),
]
Confidence = Annotated[
    float | None,
    typer.Option(
        "--predictor-confidence",
        metavar="P",
        parser=number,
        help="Probability that a constant prediction gives its class. It changes the costs shown, "
        "never the weights. Default: 1 - 1e-7, where Keras clips.",
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(
        "--seed",
        metavar="N",
        parser=whole(0),
        help="For batches: of the random ones. Default: 0.",
    ),
]


DropLast = Annotated[
    bool,
    typer.Option(
        "--drop-last",
        help="A last batch that is not full is dropped; PyTorch's and Keras' loaders keep it by "
        "default.",
    ),
]


@dataclass(eq=False, repr=False)
class Averaging:
    """Options of what a loss averages over."""

    average: AverageOption = None
    batch_size: BatchSize = None
    drop_last: DropLast = False
    predictor_confidence: Confidence = None
    seed: Seed = None


def parameters_of(given: list[str] | None) -> dict[str, str]:
    """The parameters of a formula by name. Raises ParameterError."""
    from maskstat.parameters import assignments

    return assignments(given or [], parameter="parameters")


def check_layout(layout: str | None, out: Path | None) -> None:
    """Raise ParameterError for a layout of no file, and for a file whose suffix is no format's."""
    from maskstat.errors import ParameterError
    from maskstat.files.documents.formats import SUFFIXES, no_format

    if out is None and layout is not None:
        raise ParameterError("goes with -o FILE", parameter="layout")
    if out is not None and out.suffix.lower() not in SUFFIXES:
        raise no_format(out, ParameterError)


def database(given: Path | None) -> Path:
    """The store's path: the one given, $MASKSTAT_DB, or maskstat.db here."""
    from maskstat.store.default import default_db

    return given or default_db()


def with_options(
    db: Path | None,
    scan: str | Sequence[str] | None = None,
    classes: str | None = None,
    ignore: Sequence[str] | None = None,
    group_by: str | None = None,
    *,
    reduce_zero_label: bool = False,
) -> str:
    """The options that make another command speak of the same, a blank before each."""
    scans = [scan] if isinstance(scan, str) else scan or ()
    given: Mapping[str, Sequence[object]] = {
        "--db": [] if db is None else [db],
        "--scan": scans,
        "--classes": [] if classes is None else [classes],
        "--ignore": ignore or (),
        "--group-by": [] if group_by is None else [group_by],
    }
    words = [
        str(word) for name, values in given.items() for value in values for word in (name, value)
    ]
    words += ["--reduce-zero-label"] if reduce_zero_label else []
    return "".join(f" {shlex.quote(word)}" for word in words)


@dataclass(eq=False, repr=False)
class WhichScan:
    """Options of every command of one stored scan: which, and under which classes."""

    scan: ScanName = None
    db: Database = None
    classes: ClassesOption = None
    ignore: IgnoreOption = None

    def open(
        self,
        *,
        nearest_colour: int | None = None,
        reduce_zero_label: bool = False,
        group_by: str | None = None,
    ) -> Scan:
        """It, under the catalogue and the groups that are asked for."""
        from maskstat.api.making import open_scan

        return open_scan(
            database(self.db),
            self.scan,
            classes=self.classes,
            ignore=self.ignore or (),
            nearest_colour=nearest_colour,
            reduce_zero_label=reduce_zero_label,
            group_by=group_by,
        )

    def words(self, group_by: str | None = None, *, reduce_zero_label: bool = False) -> str:
        """As `with_options`."""
        return with_options(
            self.db,
            self.scan,
            self.classes,
            self.ignore,
            group_by,
            reduce_zero_label=reduce_zero_label,
        )


def counted_scan(
    counts: str | None,
    unit: Given | None,
    which: WhichScan,
    allow_incomplete: bool = False,
    reduce_zero_label: bool = False,
    group_by: str | None = None,
) -> Scan:
    """The scan of counts that were given, or else the stored one. Raises ParameterError."""
    from maskstat.errors import argument
    from maskstat.parameters import refuse_idle

    if counts is None:
        refuse_idle({"unit": unit}, goes_with=argument("counts"))
        return which.open(reduce_zero_label=reduce_zero_label, group_by=group_by)
    from maskstat.api.given_counts import from_counts

    idle = {
        "scan": which.scan,
        "db": which.db,
        "allow_incomplete": allow_incomplete or None,
        "group_by": group_by,
    }
    refuse_idle(idle, goes_with=f"a stored scan, not {argument('counts')}")
    scan = from_counts(counts, classes=which.classes, unit=unit)
    if which.ignore or reduce_zero_label:
        scan = scan.under(ignore=which.ignore or (), reduce_zero_label=reduce_zero_label)
    return scan


@contextmanager
def offering_commands() -> Iterator[None]:
    """Within, what takes incomplete counts is offered as this very command with more options."""
    from maskstat.errors import IncompleteScanError

    try:
        yield
    except IncompleteScanError as error:
        error.remedy = f"type: {typed()} {error.remedy or ''}".rstrip()
        raise


def output() -> Console:
    """Where tables go: stdout, as wide as the terminal, or as $COLUMNS says of what is none."""
    from rich.console import Console

    columns = os.environ.get("COLUMNS", "")
    width = int(columns) if columns.isascii() and columns.isdigit() else 0
    if not sys.stdout.isatty():
        width = width or _WIDTH_WITHOUT_TERMINAL
    return Console(width=width or None, highlight=False, soft_wrap=False)


def rows_of(order: Order | None, all_rows: bool, *, json: bool) -> RowChoice:
    """The rows of a table: all, or of many the first and the last. Raises ParameterError."""
    from maskstat.errors import ParameterError
    from maskstat.render.terminal.rows import RowChoice

    for parameter, given in (("order", order), ("all", all_rows)):
        if json and given:
            raise ParameterError("is of tables: --json has all classes", parameter=parameter)
    most = _MOST_ROWS_ON_SCREEN if sys.stdout.isatty() else _MOST_ROWS_IN_PIPES
    return RowChoice(order or "frequency", None if all_rows else most, "--all shows them")


def typed(*, without: str = "", command: str | None = None) -> str:
    """The command as it was typed, to be gone on with; or another one with its options."""
    words = [word for word in sys.argv[1:] if word != without]
    if command is not None:
        words[0] = command
    return f"maskstat {shlex.join(words)}"


def say(line: str, *, on_stdout: bool = False) -> None:
    """A line beside the data, or above a table.

    Typer's own `echo` would write UTF-8 where everything else is ASCII.
    """
    print(line, file=sys.stdout if on_stdout else sys.stderr, flush=True)


def announce_scan(scan: StoredScan, *, beside_data: bool = False) -> None:
    """Say which scan is spoken of: above tables, or on stderr where stdout holds data.

    Counts that were given are none.
    """
    if scan.info.id:
        end = "" if scan.info.complete else ", interrupted: some masks are not counted"
        say(f"Scan {printable(scan.name)}{end}", on_stdout=not beside_data)
    if (does := getattr(scan, "does", None)) is not None:
        say(f"as training sees it: {printable(does)}", on_stdout=not beside_data)


def announce_written(path: Path) -> None:
    """Say on stderr which file was written."""
    say(f"wrote {printable(str(path))}")


def print_text(text: str) -> None:
    """On stdout as UTF-8, whatever the terminal's encoding; what UTF-8 can't hold is escaped."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace"))
    sys.stdout.flush()


def print_notes(notes: Iterable[str]) -> None:
    """Sentences below a table, wrapped as it is."""
    for note in notes:
        output().print(note, markup=False)


def print_json(document: object) -> None:
    """One JSON document on stdout; never NaN."""
    import json

    print_text(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
