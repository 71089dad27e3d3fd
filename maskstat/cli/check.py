"""`maskstat check`: what is wrong with a scanned set of masks."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from maskstat.cli.options import (
    ClassesOption,
    Database,
    IgnoreOption,
    JsonOption,
    ScanName,
    database,
    output,
    print_json,
    refuse_idle,
    stored_scan,
)
from maskstat.cli.values import file, whole

if TYPE_CHECKING:
    from maskstat.statistics.quality import Finding


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("check")(command)


def command(
    scan: ScanName = None,
    db: Database = None,
    classes: ClassesOption = None,
    ignore: IgnoreOption = None,
    against: Annotated[
        list[str] | None,
        typer.Option(
            "--against",
            metavar="NAME",
            help="Another scan of the store: no mask should be in both. Repeatable.",
        ),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(
            "--images", metavar="DIR", parser=file, help="The images, paired with masks by stem."
        ),
    ] = None,
    image_suffix: Annotated[
        str,
        typer.Option(
            "--image-suffix", metavar="TEXT", help="What image stems end in, as '_leftImg8bit'."
        ),
    ] = "",
    mask_suffix: Annotated[
        str,
        typer.Option(
            "--mask-suffix", metavar="TEXT", help="What mask stems end in, as '_gtFine_labelIds'."
        ),
    ] = "",
    min_masks: Annotated[
        int,
        typer.Option(
            "--min-masks", metavar="N", parser=whole(0), help="Report classes in fewer masks."
        ),
    ] = 10,
    min_components: Annotated[
        int | None,
        typer.Option(
            "--min-components",
            metavar="N",
            parser=whole(0),
            help="Report classes in fewer connected components; needs a scan with --profile. "
            "Default: 10 where there is one.",
        ),
    ] = None,
    fail_on: Annotated[
        list[str] | None,
        typer.Option(
            "--fail-on",
            metavar="KIND|SEVERITY",
            help="Exit with 1 where a finding of this kind is made, or of severity error or "
            "warning (which includes errors). Repeatable, or separated by commas.",
        ),
    ] = None,
    json: JsonOption = False,
) -> int:
    """Find what is wrong with a scanned set of masks.

    Unreadable, lossy, anti-aliased, empty and duplicate masks, unlisted values, rare classes,
    outliers; with --against leakage between splits, with --images wrong sizes and missing
    partners. Decodes only masks whose counts are equal, and of images just the header.
    """
    from maskstat.api.making import open_scan
    from maskstat.render.terminal.check_tables import check_document
    from maskstat.scanning.checking import check_scan

    kinds = _kinds(fail_on or [])
    if images is None:
        refuse_idle(
            {"--image-suffix": image_suffix or None, "--mask-suffix": mask_suffix or None},
            goes_with="--images DIR",
        )
    with ExitStack() as stack:
        chosen = stack.enter_context(stored_scan(db, scan, classes, ignore))
        others = [stack.enter_context(open_scan(database(db), name)) for name in against or ()]
        findings = check_scan(
            chosen,
            against=others,
            images=images,
            image_suffix=image_suffix,
            mask_suffix=mask_suffix,
            min_masks=min_masks,
            min_components=min_components,
        )
        document = check_document(
            chosen, findings, against=against or (), images=images is not None
        )
    if json:
        print_json(document)
    else:
        from maskstat.render.terminal.check_tables import check_tables

        output().print(check_tables(document, note="'--json' lists every file"))
    _fail_on(findings, kinds)
    return 0


def _kinds(fail_on: Sequence[str]) -> frozenset[str]:
    """The kinds that `--fail-on` asks for. Raises ParameterError for a word that is none."""
    from maskstat.errors import ParameterError
    from maskstat.naming import did_you_mean, printable
    from maskstat.statistics.quality import KINDS

    kinds: set[str] = set()
    for word in (part.strip() for item in fail_on for part in item.split(",")):
        if word in {"error", "warning"}:
            wanted = {"error"} if word == "error" else {"error", "warning"}
            kinds.update(kind.name for kind in KINDS.values() if kind.severity in wanted)
        elif word in KINDS:
            kinds.add(word)
        else:
            raise ParameterError(
                f"{printable(word)!r} is neither a severity nor a kind of finding",
                where="--fail-on",
                remedy=f"{did_you_mean(word, KINDS)}known are error, warning, {', '.join(KINDS)}",
            )
    return frozenset(kinds)


def _fail_on(findings: Sequence[Finding], kinds: frozenset[str]) -> None:
    from maskstat.errors import MaskstatError
    from maskstat.naming import counted
    from maskstat.statistics.quality import KINDS

    found = [finding for finding in findings if finding.kind in kinds]
    if found:
        listing = ", ".join(f"{f.kind} ({counted(f.count, KINDS[f.kind].noun)})" for f in found)
        raise MaskstatError(f"found {listing}", where="--fail-on")
