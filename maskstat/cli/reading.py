"""Options that say how masks are read where a file alone does not say, and where that is done."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from maskstat.cli.options import choice
from maskstat.cli.values import file, name, whole, whole_or
from maskstat.executors.choices import EXECUTORS, ExecutorName
from maskstat.readers.choices import CHANNEL, CHANNELS, DIVISORS, Channel, Channels

PagesOption = Annotated[
    str | None,
    typer.Option(
        "--pages",
        metavar="each|all|first|N",
        help="Pages of a TIFF, planes of an array, volumes of a series: each (of volumes each "
        "slice) as a mask of its own, FILE#1, FILE#2, ...; all as one mask; or one, numbered from "
        "1.",
    ),
]
ChannelsOption = Annotated[
    Channels | None,
    choice(
        "--channels",
        known=CHANNELS,
        metavar="one-hot|bitmask|multilabel[-first]",
        help="A channel a class, in TIFF, volumes and arrays of any format. one-hot: the number of "
        "the one that is set, -1 for none. bitmask: the sum of 2^k. multilabel: each channel by "
        "itself, a label; also in RGB images. With -first where an array's channels come first.",
    ),
]
ChannelOption = Annotated[
    Channel | None,
    choice(
        "--channel",
        known=CHANNEL,
        help="Masks of indices that are stored as RGB, RGBA or LA. r: the index is in red. grey: "
        "in all channels, which are equal. ade20k: R / 10 * 256 + G, as in the full release.",
    ),
]
ArrayOption = Annotated[
    str | None,
    typer.Option(
        "--array",
        metavar="NAME",
        help="Which array of an .npz, a Zarr group, or a file of HDF5, MATLAB or PyTorch. In HDF5 "
        "also a group, or names with a *: with --pages each all of their arrays count.",
    ),
]
DivisorOption = Annotated[
    str | None,
    typer.Option(
        "--value-divisor",
        metavar="N|NAME",
        parser=whole_or(DIVISORS, 2, (1 << 62) - 1),
        help="Values are class * N + instance: count value // N. Values below N are classes "
        "already. By name: cityscapes (1000); kitti, mapillary (256) and scannet (1000) divide "
        "all.",
    ),
]
DivideAllOption = Annotated[
    bool, typer.Option("--divide-all", help="Divide values below --value-divisor too.")
]
PanopticOption = Annotated[
    Path | None,
    typer.Option(
        "--panoptic",
        metavar="FILE",
        parser=file,
        help="COCO's panoptic JSON: masks are PNGs of its segments, and its categories are "
        "counted (and the classes, without --classes).",
    ),
]
PerClassOption = Annotated[
    bool,
    typer.Option(
        "--per-class",
        help="An image has a file for each class, 00001_hair.png or hair/00001.png: they are one "
        "mask. Of classes that overlap, the smaller one counts.",
    ),
]
NearestColourOption = Annotated[
    int | None,
    typer.Option(
        "--nearest-colour",
        metavar="TOL",
        parser=whole(0, 255),
        help="A colour counts as the nearest class's where no channel is off by more than TOL. "
        "Nothing is decoded again.",
    ),
]


@dataclass(eq=False, repr=False)
class AskedReading:
    """Options of how masks are decoded."""

    pages: PagesOption = None
    channels: ChannelsOption = None
    channel: ChannelOption = None
    array: ArrayOption = None
    value_divisor: DivisorOption = None
    divide_all: DivideAllOption = False
    panoptic: PanopticOption = None
    per_class: PerClassOption = False
    nearest_colour: NearestColourOption = None


@dataclass(eq=False, repr=False)
class Running:
    """Options of what decodes them."""

    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            metavar="N",
            parser=whole(1),
            help="Threads; default: one a CPU, 32 for URLs.",
        ),
    ] = None
    executor: Annotated[
        ExecutorName,
        choice(
            "--executor",
            known=EXECUTORS,
            help="Where masks are decoded: here, or on a Dask cluster; without --scheduler, one of "
            "--workers processes on this machine.",
        ),
    ] = "threads"
    scheduler: Annotated[
        str | None,
        typer.Option(
            "--scheduler",
            metavar="ADDRESS",
            parser=name,
            help="The cluster's scheduler: tcp://HOST:8786.",
        ),
    ] = None
