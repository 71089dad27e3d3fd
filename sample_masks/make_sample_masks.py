"""Make the sample masks: 24 street and park scenes of 31 classes, and their catalogue.

    python sample_masks/make_sample_masks.py [OUT_DIR]

Without OUT_DIR the files are written beside this script, where they are kept under version
control. They mirror a common situation: one class (background) on about 60% of the pixels, a long
tail behind it, one very rare class, an ignore value on some borders, sizes and encodings that
differ from mask to mask.

The same pixels come out everywhere: the random numbers are NumPy's frozen legacy stream, and all
geometry is integer arithmetic, so no rounding of a platform's floating point moves an edge. On
one machine the files are byte-identical too (fixed compression, no time stamps); another zlib
may pack the same pixels into other bytes.
"""

from __future__ import annotations

import struct
import sys
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SEED = 31
IGNORE = 255
IGNORE_COLOUR = "#e0e0c0"
SUB = 16  # coordinates are integers in 1/16 pixel
CLASS_TABLE = """
background #000000, road #804080, building #464646, tree #1e7828,
grass #98fb98, sky #4682b4, pavement #f423e8, car #00008e,
path #d2b48c, water #2fa6ff, person #dc143c, tram #00a0a0,
truck #0a64c8, bus #003c64, hedge #6b8e23, wall #66669c,
cyclist #ff0080, fence #be9999, parasol #ff7f50, pole #b4b4b4,
bench #8b4513, motorcycle #0000e6, playground #ff8c00, lane marking #ffffff,
traffic sign #dcdc00, traffic light #faaa1e, litter bin #556b2f, dog #a0522d,
street lamp #fff0a0, traffic cone #ff4500, fire hydrant #ff0000
"""
COLOURS = dict(entry.strip().rsplit(" ", 1) for entry in CLASS_TABLE.split(","))
CLASS = {name: index for index, name in enumerate(COLOURS)}
# Countable objects: the annotator left an ignored line around them.
OUTLINED = ("car", "bus", "truck", "tram", "person", "cyclist", "motorcycle", "tree")

Labels = NDArray[np.uint8]
Coordinates = NDArray[np.int64]
Region = NDArray[np.bool_]
Pair = tuple[int, int]


class Sample(NamedTuple):
    """One file: its path below OUT_DIR, its size, its scene and what is special about it."""

    path: str
    width: int
    height: int
    outlined: bool = False
    encoding: str = "grey8"
    highest: int = len(CLASS) - 1
    hydrant: bool = False


SAMPLES = [
    Sample("street/mask_1.png", 480, 360),
    Sample("street/mask_2.png", 480, 360, outlined=True),
    Sample("street/mask_3.png", 640, 480, outlined=True, encoding="palette"),
    Sample("street/mask_4.png", 320, 240),
    Sample("street/mask_5.png", 333, 251, encoding="grey4", highest=15),  # 4 bits hold 0..15
    Sample("street/mask_6.png", 512, 384, outlined=True),
    Sample("street/mask_7.png", 400, 300),
    Sample("street/mask_8.png", 480, 360, encoding="palette"),
    Sample("street/mask_9.png", 640, 480, hydrant=True),
    Sample("street/mask_10.png", 352, 288, outlined=True),
    Sample("street/mask_11.png", 480, 360),
    Sample("street/mask_12.png", 512, 384, encoding="grey16"),  # 255 is an ordinary id here
    Sample("street/mask_13.png", 640, 360, outlined=True),
    Sample("street/mask_14.png", 480, 360),
    Sample("park/mask_15.png", 480, 360, outlined=True),
    Sample("park/mask_16.png", 400, 300, encoding="palette"),
    Sample("park/mask_17.png", 360, 480),
    Sample("park/mask_18.tif", 480, 360, outlined=True, encoding="tiff"),
    Sample("park/mask_19.png", 640, 480),
    Sample("park/mask_20.npy", 320, 240, outlined=True, encoding="npy"),
    Sample("park/mask_21.png", 512, 384, outlined=True, encoding="palette"),
    Sample("park/mask_22.png", 480, 360),
    Sample("park/mask_23.png", 352, 288),
    Sample("park/mask_24.png", 480, 360, outlined=True),
]


def box_blur(field: Coordinates, size: int, axis: int) -> Coordinates:
    """Sums over `size` neighbours along an axis divided by size, in integers; edges repeated."""
    before = size // 2
    padding = [(0, 0), (0, 0)]
    padding[axis] = (before + 1, size - 1 - before)
    sums = np.cumsum(np.pad(field, padding, mode="edge"), axis=axis)
    length = sums.shape[axis]
    upper = np.take(sums, range(size, length), axis=axis)
    lower = np.take(sums, range(length - size), axis=axis)
    return (upper - lower) // size


def smooth_noise(
    random: np.random.RandomState, height: int, width: int, cell: int, amplitude: int
) -> Coordinates:
    """A smooth random field of shape (height, width) with values in -amplitude..amplitude."""
    rows, columns = height // cell + 2, width // cell + 2
    coarse = random.randint(-amplitude, amplitude + 1, size=(rows, columns), dtype=np.int64)
    field = np.repeat(np.repeat(coarse, cell, axis=0), cell, axis=1)[:height, :width]
    for _ in range(2):
        field = box_blur(box_blur(field, cell, 0), cell, 1)
    return field


class Canvas:
    """A mask being painted, back to front.

    Regions are tested at coordinates that a smooth random field has shifted by a pixel or
    two, so that straight edges come out as a human annotator draws them. Lengths are in
    hundredths of the image's width (x) and height (y): a scene fits any size.
    """

    def __init__(self, random: np.random.RandomState, sample: Sample) -> None:
        self.random = random
        self.width, self.height, self.highest = sample.width, sample.height, sample.highest
        self.labels: Labels = np.zeros((sample.height, sample.width), np.uint8)
        rows, columns = np.indices((sample.height, sample.width), dtype=np.int64)
        wobble = [
            smooth_noise(random, sample.height, sample.width, cell, amplitude)
            for cell, amplitude in ((9, SUB), (9, SUB), (40, 3 * SUB), (40, 3 * SUB))
        ]
        self.x: Coordinates = columns * SUB + wobble[0] + wobble[2]
        self.y: Coordinates = rows * SUB + wobble[1] + wobble[3]
        self.bumps: Coordinates = smooth_noise(random, sample.height, sample.width, 11, 700)

    def pick(self, low: int, high: int) -> int:
        """A random whole number in low..high."""
        return int(self.random.randint(low, high + 1, dtype=np.int64))

    def chance(self, percent: int) -> bool:
        """True in `percent` of 100 cases."""
        return self.pick(0, 99) < percent

    def across(self, hundredths: int) -> int:
        """A horizontal position or length, in 1/16 pixel."""
        return hundredths * self.width * SUB // 100

    def down(self, hundredths: int) -> int:
        """A vertical position or length, in 1/16 pixel."""
        return hundredths * self.height * SUB // 100

    def paint(self, name: str, region: Region) -> None:
        """Give the region to a class, if this mask may hold that class."""
        if CLASS[name] <= self.highest:
            self.labels[region] = CLASS[name]

    def box(self, left: int, top: int, right: int, bottom: int) -> Region:
        """A rectangle, coordinates in 1/16 pixel."""
        return (self.x >= left) & (self.x < right) & (self.y >= top) & (self.y < bottom)

    def panel(self, name: str, left: int, top: int, right: int, bottom: int) -> None:
        """Paint a rectangle, coordinates in hundredths."""
        ends = (self.across(left), self.down(top), self.across(right), self.down(bottom))
        self.paint(name, self.box(*ends))

    def ellipse(self, x: int, y: int, radius_x: int, radius_y: int, rough: bool = False) -> Region:
        """An ellipse, in 1/16 pixel; `rough` lets its outline swing like foliage."""
        radius_x, radius_y = max(radius_x, SUB), max(radius_y, SUB)
        distance = (self.x - x) ** 2 * 1024 // radius_x**2
        distance += (self.y - y) ** 2 * 1024 // radius_y**2
        if rough:
            distance = distance + self.bumps
        inside: Region = distance < 1024
        return inside

    def disc(self, x: int, y: int, wide: int, tall: int, rough: bool = False) -> Region:
        """An ellipse, in hundredths."""
        centre = (self.across(x), self.down(y))
        return self.ellipse(*centre, self.across(wide), self.down(tall), rough)

    def wedge(self, top: int, bottom: int, upper: Pair, lower: Pair) -> Region:
        """The strip between two rows whose left and right ends run from `upper` to `lower`."""
        span = max(bottom - top, 1)
        part = np.clip(self.y - top, 0, span)
        left = upper[0] + (lower[0] - upper[0]) * part // span
        right = upper[1] + (lower[1] - upper[1]) * part // span
        return (self.y >= top) & (self.y < bottom) & (self.x >= left) & (self.x < right)

    def strip(self, top: int, far: Pair, near: Pair) -> Region:
        """A way that runs to the lower edge; (middle, half width) at both ends, hundredths."""
        ends = [
            (self.across(middle) - self.across(half), self.across(middle) + self.across(half))
            for middle, half in (far, near)
        ]
        return self.wedge(self.down(top), self.down(102), ends[0], ends[1])

    def spot(self, top: int, bottom: int) -> Pair:
        """A random place to stand between two heights in hundredths: (x, foot) in 1/16 pixel."""
        return self.across(self.pick(6, 94)), self.down(self.pick(top, bottom))

    def skyline(self, base: int) -> Region:
        """What lies above a bumpy line `base` hundredths from the top."""
        above: Region = self.y + self.bumps // 12 < self.down(base)
        return above


def people(canvas: Canvas, count: int, horizon: int) -> None:
    """People of legs, body and head; the nearer, the taller."""
    for depth in sorted(canvas.pick(6, 94 - horizon) for _ in range(count)):
        x, foot = canvas.across(canvas.pick(3, 97)), canvas.down(horizon + depth)
        tall = canvas.down(7 + depth * 3 // 10)
        hip, ankle = (x - tall // 8, x + tall // 8), (x - tall // 12, x + tall // 12)
        figure = canvas.wedge(foot - tall // 2, foot, hip, ankle)
        figure |= canvas.ellipse(x, foot - tall * 6 // 10, tall * 4 // 25, tall // 4)
        figure |= canvas.ellipse(x, foot - tall * 92 // 100, tall // 11, tall // 11)
        canvas.paint("person", figure)


def vehicle(canvas: Canvas, name: str, x: int, foot: int, wide: int, tall: int) -> None:
    """A body with a narrower cabin on top and wheels below."""
    body = canvas.box(x - wide // 2, foot - tall * 6 // 10, x + wide // 2, foot - tall // 10)
    roof = (foot - tall, foot - tall * 6 // 10)
    inset = wide * 22 // 100 if name == "car" else wide * 3 // 100
    upper, lower = wide // 2 - inset, wide // 2 - inset // 3
    cabin = canvas.wedge(*roof, (x - upper, x + upper), (x - lower, x + lower))
    wheel = tall * 18 // 100
    wheels = canvas.ellipse(x - wide // 3, foot - wheel, wheel, wheel)
    wheels |= canvas.ellipse(x + wide // 3, foot - wheel, wheel, wheel)
    canvas.paint(name, body | cabin | wheels)


def two_wheeler(canvas: Canvas, name: str, x: int, foot: int, tall: int) -> None:
    """Two wheels and a frame; a cyclist has a rider on it."""
    wheel = tall * 22 // 100
    region = canvas.ellipse(x - wheel * 12 // 10, foot - wheel, wheel, wheel)
    region |= canvas.ellipse(x + wheel * 12 // 10, foot - wheel, wheel, wheel)
    region |= canvas.box(x - wheel, foot - wheel * 2, x + wheel, foot - wheel)
    if name == "cyclist":
        region |= canvas.ellipse(x, foot - tall * 6 // 10, tall * 12 // 100, tall * 3 // 10)
        region |= canvas.ellipse(x, foot - tall * 92 // 100, tall // 11, tall // 11)
    canvas.paint(name, region)


def post(canvas: Canvas, x: int, foot: int, tall: int, top: str | None = None) -> None:
    """A pole, bare or with a traffic sign, a traffic light or a lamp on top."""
    thin = max(canvas.width * SUB // 250, SUB * 3 // 2)
    canvas.paint("pole", canvas.box(x - thin // 2, foot - tall, x + thin // 2, foot))
    size = max(tall // 9, 3 * SUB)
    if top == "traffic sign":
        canvas.paint(top, canvas.ellipse(x, foot - tall, size, size))
    elif top == "traffic light":
        upper, lower = foot - tall - size, foot - tall + size * 3 // 4
        canvas.paint(top, canvas.box(x - size // 2, upper, x + size // 2, lower))
    elif top == "street lamp":
        canvas.paint(top, canvas.ellipse(x + size // 2, foot - tall, size, size * 4 // 10))


def trees(canvas: Canvas, count: int, lowest: int, highest: int, size: int) -> None:
    """Round crowns on trunks, their feet between two heights (hundredths)."""
    for _ in range(count):
        x, foot = canvas.across(canvas.pick(2, 98)), canvas.down(canvas.pick(highest, lowest))
        radius = canvas.down(canvas.pick(size * 7 // 10, size))
        trunk = canvas.box(x - radius // 9, foot - radius, x + radius // 9, foot)
        crown = canvas.ellipse(x, foot - radius * 17 // 10, radius, radius * 11 // 10, rough=True)
        canvas.paint("tree", trunk | crown)


def houses(canvas: Canvas, horizon: int, left: int, right: int) -> None:
    """A row of fronts with a stepped skyline, from `left` to `right` (hundredths)."""
    at = left
    while at < right:
        wide = canvas.pick(6, 14)
        top = horizon - canvas.pick(7, 18)
        canvas.panel("building", at, top, min(at + wide, right), horizon + 3)
        at += wide + (canvas.pick(2, 6) if canvas.chance(30) else 0)


def barriers(canvas: Canvas, horizon: int, **percents: int) -> None:
    """Walls, fences and hedges: each with its chance in percent."""
    for name, percent in percents.items():
        if canvas.chance(percent):
            start, low = canvas.pick(0, 75), horizon + canvas.pick(3, 9)
            canvas.panel(name, start, low - 5, start + canvas.pick(10, 26), low)


def street_ground(canvas: Canvas, horizon: int, middle: int) -> None:
    """Sky, houses, road with markings, pavement, walls and fences."""
    if canvas.chance(60):
        canvas.paint("sky", canvas.skyline(canvas.pick(6, 12)))
    houses(canvas, horizon, canvas.pick(-4, 4), middle - canvas.pick(4, 8))
    houses(canvas, horizon, middle + canvas.pick(4, 8), 104)
    half, kerb, near = canvas.pick(17, 25), canvas.pick(5, 9), canvas.pick(38, 62)
    if canvas.chance(75):
        canvas.paint("pavement", canvas.strip(horizon, (middle, 3), (near, half + kerb)))
    canvas.paint("road", canvas.strip(horizon, (middle, 2), (near, half)))
    if canvas.chance(60):
        dashes = (canvas.y // canvas.down(6)) % 2 == 0
        canvas.paint("lane marking", canvas.strip(horizon, (middle, 0), (near, 1)) & dashes)
    barriers(canvas, horizon, wall=45, fence=45, hedge=35)


def street_objects(canvas: Canvas, horizon: int, middle: int) -> None:
    """Traffic on the road, people and street furniture beside it; far ones first."""
    trees(canvas, canvas.pick(0, 2), horizon + 14, horizon + 3, 14)
    heavy = (("tram", 30, 17, 24), ("bus", 30, 20, 21), ("truck", 40, 17, 20))
    traffic = [(canvas.pick(12, 22), *kind) for kind in heavy if canvas.chance(kind[1])]
    for _ in range(canvas.pick(1, 4)):
        depth = canvas.pick(8, 92 - horizon)
        wide = 5 + depth * 3 // 10
        traffic.append((depth, "car", 100, wide, wide * 7 // 10))
    for depth, name, _, wide, tall in sorted(traffic):
        x = canvas.across(middle + (50 - middle) * depth // 60 + canvas.pick(-14, 14))
        foot = canvas.down(horizon + depth)
        vehicle(canvas, name, x, foot, canvas.across(wide), canvas.down(tall))
    people(canvas, canvas.pick(0, 4), horizon)
    for name, percent, size in (("cyclist", 50, 15), ("motorcycle", 40, 11)):
        if canvas.chance(percent):
            two_wheeler(canvas, name, *canvas.spot(horizon + 12, horizon + 40), canvas.down(size))
    tops = ((None, 70), ("traffic sign", 65), ("traffic light", 50), ("street lamp", 40))
    for top, percent in tops:
        if canvas.chance(percent):
            tall = canvas.down(canvas.pick(22, 34))
            post(canvas, *canvas.spot(horizon + 8, horizon + 26), tall, top)


def park_ground(canvas: Canvas, horizon: int) -> None:
    """Sky, a lawn, a winding path, a pond, hedges and a wall."""
    if canvas.chance(60):
        canvas.paint("sky", canvas.skyline(canvas.pick(6, 11)))
    if canvas.chance(40):
        houses(canvas, horizon, canvas.pick(50, 70), canvas.pick(75, 95))
    lawn = (canvas.pick(20, 80), canvas.pick(70, 85), canvas.pick(24, 40), canvas.pick(12, 21))
    canvas.paint("grass", canvas.disc(*lawn, rough=True))
    if canvas.chance(75):
        pond = (canvas.pick(15, 85), canvas.pick(72, 84), canvas.pick(12, 20), canvas.pick(5, 9))
        canvas.paint("water", canvas.disc(*pond))
    if canvas.chance(80):
        near = (canvas.pick(12, 88), canvas.pick(5, 9))
        canvas.paint("path", canvas.strip(horizon, (canvas.pick(30, 70), 1), near))
    barriers(canvas, horizon, hedge=75, wall=25, fence=30)


def park_objects(canvas: Canvas, horizon: int) -> None:
    """Trees, people and dogs, benches, bins, parasols and a climbing frame."""
    trees(canvas, canvas.pick(1, 3), horizon + 20, horizon + 3, 15)
    if canvas.chance(50):
        x, foot = canvas.spot(horizon + 10, horizon + 25)
        size = canvas.down(9)
        frame = canvas.wedge(foot - size, foot, (x, x), (x - size, x + size))
        canvas.paint("playground", frame & ~canvas.ellipse(x, foot, size // 2, size // 2))
    if canvas.chance(60):
        x, foot = canvas.spot(horizon + 16, horizon + 30)
        size = canvas.down(10)
        post(canvas, x, foot, size)
        canopy = canvas.ellipse(x, foot - size, size, size // 2)
        canvas.paint("parasol", canopy & (canvas.y < foot - size * 8 // 10))
    for _ in range(canvas.pick(0, 2)):
        x, foot = canvas.spot(horizon + 8, horizon + 24)
        wide = canvas.down(6)
        legs = canvas.box(x - wide, foot - wide // 3, x - wide * 7 // 10, foot)
        legs |= canvas.box(x + wide * 7 // 10, foot - wide // 3, x + wide, foot)
        seat = canvas.box(x - wide, foot - wide * 6 // 10, x + wide, foot - wide // 3)
        canvas.paint("bench", legs | seat)
    people(canvas, canvas.pick(1, 4), horizon)
    if canvas.chance(55):
        x, foot = canvas.spot(horizon + 12, 94)
        size = canvas.down(4)
        dog = canvas.ellipse(x, foot - size // 2, size, size * 4 // 10)
        dog |= canvas.ellipse(x + size, foot - size * 8 // 10, size // 3, size // 3)
        canvas.paint("dog", dog)
    if canvas.chance(30):
        two_wheeler(canvas, "cyclist", *canvas.spot(horizon + 12, horizon + 40), canvas.down(15))


def small_things(canvas: Canvas, names: tuple[str, ...], horizon: int) -> None:
    """Litter bins and traffic cones: a handful of pixels each."""
    for name in names:
        if canvas.chance(45):
            x, foot = canvas.spot(horizon + 10, 95)
            tall = canvas.down(4)
            upper = tall * 3 // 10 if name == "litter bin" else SUB
            lower = tall * 4 // 10
            shape = canvas.wedge(foot - tall, foot, (x - upper, x + upper), (x - lower, x + lower))
            canvas.paint(name, shape)


def hydrant(canvas: Canvas) -> None:
    """The rare class: one object in the whole set."""
    x, foot = canvas.across(71), canvas.down(83)
    body = canvas.box(x - 3 * SUB, foot - 9 * SUB, x + 3 * SUB, foot)
    canvas.paint("fire hydrant", body | canvas.ellipse(x, foot - 10 * SUB, 2 * SUB, 2 * SUB))


def outline(labels: Labels) -> Labels:
    """The labels with IGNORE on a thin line around every countable object."""
    objects = np.isin(labels, [CLASS[name] for name in OUTLINED])
    edge = np.zeros(labels.shape, np.bool_)
    across = (labels[:, 1:] != labels[:, :-1]) & (objects[:, 1:] | objects[:, :-1])
    down = (labels[1:] != labels[:-1]) & (objects[1:] | objects[:-1])
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    edge[1:] |= down
    edge[:-1] |= down
    return np.where(edge, np.uint8(IGNORE), labels)


def scene(sample: Sample) -> Labels:
    """Class indices and IGNORE of one mask, shape (height, width)."""
    canvas = Canvas(np.random.RandomState((SEED, 1 + SAMPLES.index(sample))), sample)
    horizon = canvas.pick(34, 42)
    if sample.path.startswith("street/"):
        middle = canvas.pick(38, 62)
        street_ground(canvas, horizon, middle)
        street_objects(canvas, horizon, middle)
        small_things(canvas, ("traffic cone", "litter bin"), horizon)
    else:
        park_ground(canvas, horizon)
        park_objects(canvas, horizon)
        small_things(canvas, ("litter bin",), horizon)
    if sample.hydrant:
        hydrant(canvas)
    return outline(canvas.labels) if sample.outlined else canvas.labels


def palette() -> bytes:
    """256 RGB triples: the classes' colours, and one for IGNORE."""
    colours = [*COLOURS.values(), *["#000000"] * (IGNORE - len(COLOURS)), IGNORE_COLOUR]
    return b"".join(bytes.fromhex(colour.removeprefix("#")) for colour in colours)


def grey4_png(labels: Labels) -> bytes:
    """A 4-bit grey PNG, two pixels a byte; Pillow has no writer for it."""
    height, width = labels.shape
    pairs = np.zeros((height, (width + 1) // 2 * 2), np.uint8)
    pairs[:, :width] = labels
    rows = np.zeros((height, 1 + pairs.shape[1] // 2), np.uint8)  # a filter byte (0), then data
    rows[:, 1:] = pairs[:, ::2] << 4 | pairs[:, 1::2]
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 4, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows.tobytes(), 9)),
        (b"IEND", b""),
    )
    file = b"\x89PNG\r\n\x1a\n"
    for kind, body in chunks:
        check = struct.pack(">I", zlib.crc32(kind + body))
        file += struct.pack(">I", len(body)) + kind + body + check
    return file


def save(path: Path, labels: Labels, encoding: str) -> None:
    """Write labels as an 8-bit grey PNG ("grey8"), or as what the encoding says.

    The stored sample is always the class: the grey level, the palette index, the array element.
    """
    if encoding == "npy":
        np.save(path, labels)
    elif encoding == "grey4":
        path.write_bytes(grey4_png(labels))
    else:
        image = Image.fromarray(labels.astype(np.uint16) if encoding == "grey16" else labels)
        if encoding == "palette":
            image.putpalette(palette())
        if encoding == "tiff":
            image.save(path, compression="tiff_lzw")
        else:
            image.save(path, compress_level=9)


def catalogue() -> str:
    """The text of classes.yaml."""
    lines = [
        "name: sample-masks",
        "title: Sample masks, 31 classes of street and park",
        "source: made by make_sample_masks.py",
        "classes:",
    ]
    for index, (name, colour) in enumerate(COLOURS.items()):
        lines.append(f'  - {{name: {name}, value: {index}, colour: "{colour}"}}')
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    """Write all masks and the catalogue; the exit code."""
    if len(arguments) > 1 or any(argument.startswith("-") for argument in arguments):
        print("usage: python make_sample_masks.py [OUT_DIR]", file=sys.stderr)
        return 2
    target = Path(arguments[0]) if arguments else Path(__file__).resolve().parent
    for sample in SAMPLES:
        path = target / sample.path
        path.parent.mkdir(parents=True, exist_ok=True)
        save(path, scene(sample), sample.encoding)
    (target / "classes.yaml").write_text(catalogue(), encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
