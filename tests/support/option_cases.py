"""What can be wrong in an option, as rows of a table: a command line, its exit code, its error.

Options that several commands have are wrong in the same ways; those rows are written here once and
stand behind the beginning of each command's line (`BEGINNINGS`). `option_table` has the others.
"""

from __future__ import annotations

from typing import NamedTuple


class Case(NamedTuple):
    """A command line that is refused.

    Attributes:
        line: a whole one behind "maskstat", as a shell splits it, or what follows the command's
            beginning. `\\e` is an escape character.
        code: the exit code.
        words: what the error says: the value or file, what is wrong with it, what to do.
        without: packages that are not installed.
        made: a file that may be there afterwards: a store, opened before the error.
        prints: whether the result is printed before the error.
    """

    line: str
    code: int
    words: tuple[str, ...]
    without: tuple[str, ...] = ()
    made: str = ""
    prints: bool = False


def usage(line: str, *words: str) -> Case:
    """An option that means nothing here."""
    return Case(line, 2, words)


def failure(line: str, *words: str) -> Case:
    """What can't be done."""
    return Case(line, 1, words)


def missing(line: str, package: str, extra: str) -> Case:
    """What needs a package that is not installed."""
    return Case(line, 1, (f'pip install "maskstat[{extra}]"',), (package,), "kept.db")


def wholes(option: str, limits: str, *outside: int) -> tuple[Case, ...]:
    """Rows of an option that is a whole number within limits."""
    texts = ("x", "", " ", "1.5", "nan", "1e3", "1_0", "٣", *map(str, outside))
    name = option.rpartition(" ")[2]
    return (
        *(
            usage(f"{option} '{text}'", name, f"'{text}' is no whole number {limits}")
            for text in texts
        ),
        usage(f"{option} {2**63}", name, f"'{2**63}' is too large"),
        usage(f"{option} {'9' * 400}", name, "'999", "is too large"),
        usage(f"{option} {'9' * 5000}", name, "'999", f"...' is no whole number {limits}"),
    )


def numbers(option: str) -> tuple[Case, ...]:
    """Rows of an option that is a finite number."""
    texts = ("x", "", "nan", "inf", "-inf", "1e999", "1_0", "٣", "1,5")
    name = option.rpartition(" ")[2]
    return tuple(usage(f"{option} '{t}'", name, f"'{t}' is no finite number") for t in texts)


def files(suffixes: tuple[str, ...], code: int, known: str) -> tuple[Case, ...]:
    """Rows of an option that is a file to write."""
    first = suffixes[0]
    return (
        Case("-o x.xlsx", code, ("x.xlsx", "has the suffix '.xlsx'", known)),
        Case("-o x", code, ("x: ", "has the suffix ''", known)),
        Case("-o 'a\\eb'", code, ("a\\x1bb", known)),
        usage("-o ''", "-o", "an empty text is no file's name"),
        failure(f"-o absent/x{first}", f"absent/x{first}", "there is no folder absent"),
        failure(f"-o list.txt/x{first}", f"list.txt/x{first}", "there is no folder list.txt"),
        failure(f"-o {'n' * 300}{first}", "nnn", "can't be written: "),
        *(
            failure(f"-o folder{suffix}", f"folder{suffix}", "can't be written: it is a folder")
            for suffix in suffixes
        ),
    )


_TABLES = "known are .json, .yaml, .yml, .csv, .txt, .npy"
TABLES = files((".json", ".csv"), 2, _TABLES)
PLOTS = files((".png",), 2, "known are .png, .svg, .pdf")
LAYOUT = (
    usage("-o x.json --layout pretty", "--layout", "'pretty' is not one of full, list, dict"),
    usage("-o x.json --layout lists", "did you mean list?"),
    usage("-o x.json --layout ''", "--layout", "'' is not one of full"),
    usage("-o x.json --layout 'a\\eb'", "--layout", "a\\x1bb"),
    usage("--layout pretty", "--layout", "'pretty' is not one of full"),
    usage("--layout list", "--layout", "goes with -o FILE"),
    failure("-o x.npy --layout dict", "x.npy", "can't hold the layout dict", ".json holds all"),
    failure("-o x.txt --layout dict", "x.txt", "can't hold the layout dict", ".json holds all"),
)
LABELS = (
    *(
        failure(f"--classes {text}", f"--classes {text}", "neither a number, a file nor a preset")
        for text in ("nonsense", "''", "4.5", "nan", "inf", "1_0", "٣")
    ),
    failure("--classes cityscape", "did you mean cityscapes?", "'maskstat presets' lists"),
    failure("--classes 'a\\eb'", "--classes a\\x1bb", "neither a number"),
    *(
        failure(f"--classes {count}", "--classes", f"must be 1 to 65536, not {count}")
        for count in (0, -1, 65537, 10**30)
    ),
    failure("--classes empty", "--classes empty", "is a folder, not a file of classes"),
    failure("--classes folder.yaml", "--classes folder.yaml", "is a folder"),
    failure(f"--classes {'n' * 300}", "nnn", "can't be read: "),
    failure("--classes brackets.yaml", "brackets.yaml", "not valid YAML", "line 1"),
    failure("--classes brackets.json", "brackets.json", "not valid JSON", "line 1"),
    failure("--classes number.yaml", "number.yaml", "neither a list nor a mapping of classes"),
    failure("--classes twice.yaml", "twice.yaml", "two classes are called 'road'"),
    failure("--classes clash.yaml", "clash.yaml", "value 1 belongs to class 'road' and to"),
    failure("--classes unknown.yaml", "unknown.yaml", "unknown key 'clases'", "known are classes"),
    failure("--classes unknown_class.yaml", "class 0 has an unknown key 'colou'", "known are name"),
    failure("--classes half.yaml", "half.yaml", "class road", "whole number", "not 1.5"),
    failure("--classes colour.yaml", "colour.yaml", "#rrggbb or [r, g, b], not 'pink'"),
    failure("--classes unnamed.yaml", "unnamed.yaml", "the name of class 0 must be text"),
    failure("--classes none.yaml", "none.yaml", "1 to 65536 classes, not 0"),
    failure("--classes shape.yaml", "shape.yaml", "must map indices to names"),
    failure("--classes empty.txt", "empty.txt", "holds no class names"),
    failure("--classes latin.yaml", "latin.yaml", "not UTF-8 text"),
    failure("--classes escape.yaml", "escape.yaml", "two classes are called 'a\\", "x1b[2Jb"),
    failure("--classes maskstat.db", "maskstat.db", "not UTF-8 text"),
)
IGNORED = (
    *(
        usage(f"--ignore '{t}'", "--ignore", f"'{t}' is neither a whole number nor a colour")
        for t in ("1.5", "nan", "inf", "1_0", "٣", "1,2", "#12", "#gggggg", "0x10")
    ),
    usage(f"--ignore {'9' * 30}", "--ignore", "9999", "no value that a pixel can have"),
    usage("--ignore 'a\\eb'", "--ignore", "a\\", "x1bb"),
)
_GROUPS = (
    usage("--group-by '('", "--group-by", "'(' is no regular expression", "column:NAME"),
    usage("--group-by ''", "--group-by", "is empty", "--group-by folder"),
    usage("--group-by column:", "--group-by", "is empty", "--group-by folder"),
    usage("--group-by 'x*'", "--group-by", "'x*' matches nothing as well"),
    usage("--group-by '(a\\eb'", "--group-by", "x1bb", "no regular expression"),
)
_NO_STORE = ("there is no scan store", "maskstat scan FOLDER", "--db")
NO_STORES = (
    failure("--db list.txt/x.db", "list.txt/x.db", "there is no scan store"),
    failure("--db 'a\\eb'", "a\\x1bb", *_NO_STORE),
    failure(f"--db {'n' * 300}.db", "nnn.db"),
    failure("--db :memory:", ":memory:", "is no file", "name a file"),
)
BAD_STORES = (
    failure("--db empty", "empty: is a folder", "name a file in it: --db empty/maskstat.db"),
    failure("--db text.db", "text.db", "not a database", "choose another --db"),
    failure("--db other.db", "other.db", "not a scan store", "choose another --db"),
    failure("--db newer.db", "newer.db", "newer maskstat", "pip install -U maskstat"),
    failure("--db torn.db", "torn.db", "damaged"),
    usage("--db ''", "--db", "an empty text is no file's name"),
)

# A command line of each command that is right as far as it goes.
BEGINNINGS = {
    "scan": "scan masks",
    "show": "show",
    "recommend": "recommend",
    "weights": "weights",
    "costs": "costs",
    "sampling": "sampling",
    "exposure": "exposure --crop 2",
    "check": "check",
    "compare": "compare masks fine",
    "split": "split --folds 2",
    "class-index": "class-index",
    "decide": "decide scores --group-by mask",
    "plot": "plot classes -o x.png",
    "report": "report --format md",
    "schemes": "schemes",
    "presets": "presets",
    "plugins": "plugins",
    "scans": "scans",
    "merge": "merge maskstat.db -o new.db",
    "export": "export",
}

# Option -> what is wrong in it, wherever a command has it and no rows of its own.
SHARED: dict[str, tuple[Case, ...]] = {
    "--order": (
        usage("--order size", "--order", "'size' is not one of frequency, catalog"),
        usage("--order ''", "--order", "'' is not one of"),
        usage("--order catalog --json", "--order", "is of tables", "--json has all classes"),
    ),
    "--all": (usage("--all --json", "--all", "is of tables", "--json has all classes"),),
    "--reduce-zero-label": (
        usage(
            "--classes cityscapes --reduce-zero-label",
            "--reduce-zero-label",
            "goes with classes that are the values 0 to 18",
        ),
    ),
    "--db": (
        failure("--db nowhere.db", "nowhere.db", *_NO_STORE),
        *BAD_STORES,
    ),
    "--scan": (
        failure("--scan nothing", "maskstat.db", "no scan called 'nothing'", "it has: ", "masks"),
        failure("--scan mask", "no scan called 'mask'", "did you mean masks?"),
        failure("--scan ''", "no scan called ''", "it has: "),
        failure("--scan 'a\\eb'", "a\\", "x1bb", "named \\x1b[2J"),
        failure("--db hollow.db", "hollow.db", "holds no scan yet", "maskstat scan FOLDER"),
    ),
    "--classes": (
        failure(
            "--classes nonsense", "--classes nonsense", "neither a number, a file nor a preset"
        ),
        failure("--classes ''", "--classes ''", "'maskstat presets' lists the presets"),
        failure("--classes 0", "--classes", "must be 1 to 65536, not 0"),
        failure("--classes brackets.yaml", "brackets.yaml", "not valid YAML", "line 1"),
    ),
    "--ignore": (
        usage("--ignore red", "--ignore", "'red' is neither a whole number nor a colour #rrggbb"),
        usage("--ignore ''", "--ignore", "'' is neither a whole number nor a colour"),
    ),
    "--group-by": _GROUPS,
    "--counts": (
        usage("--counts ''", "--counts", "an empty text is no file's name"),
        failure("--counts nowhere.csv", "nowhere.csv", "can't be read"),
        failure("--counts folder.csv", "folder.csv", "can't be read"),
        failure("--counts maskstat.db", "maskstat.db", "has the suffix '.db'", "known are .csv"),
        failure("--counts 'a\\eb'", "a\\x1bb", "has the suffix ''", "known are .csv"),
        failure("--counts list.txt", "list.txt", "holds no numbers"),
        failure("--counts strange.csv", "strange.csv", "no column of counts among 'first'"),
        failure("--counts broken.json", "broken.json", "not a readable .json file"),
        failure("--counts latin.yaml", "latin.yaml", "not UTF-8 text"),
        usage("--counts 5,-1", "--counts class class_1", "-1 is negative"),
        usage("--counts 5,nan", "--counts class class_1", "nan is no count"),
        usage("--counts 0,0", "--counts", "every class has 0"),
        usage(f"--counts 5,{2**63}", "--counts class class_1", "more than 64 bits hold"),
        usage("--counts 50,30,20", "can be counts and percent", "--unit counts or --unit percent"),
        usage("--counts 0.5,0.2", "--counts", "sum to 0.7 are neither shares", "--unit shares"),
        usage("--counts 5000,6 --classes 3", "--counts", "there are 2 numbers and 3 classes"),
        usage("--counts 5000,6 --scan masks", "--scan", "goes with a stored scan, not --counts"),
        usage("--counts 5000,6 --db maskstat.db", "--db", "with a stored scan, not --counts"),
        failure(
            "--counts 5000,6 --for torch --batch-size 2", "the content of each mask is unknown"
        ),
        failure("--counts 5000,6 --scheme median-frequency", "scheme median-frequency", "unknown"),
        failure("--counts 5000,6 --scheme effective-number", "number of masks", "scan the masks"),
    ),
    "--unit": (
        usage("--unit px", "--unit", "'px' is not one of counts, shares, percent"),
        usage("--unit ''", "--unit", "'' is not one of counts"),
        usage("--unit counts", "--unit", "goes with --counts"),
        usage("--counts 1.5,2 --unit counts", "--counts class class_0", "1.5 is no whole number"),
        usage("--counts 0.7,0.5 --unit shares", "--counts", "sum to 1.2, more than 1"),
    ),
    "--recipe": (
        usage("--recipe mmseg", "--recipe", "'mmseg' is neither a file nor one of deeplab,"),
        usage("--recipe deeplb", "--recipe", "did you mean deeplab?"),
        usage("--recipe ''", "--recipe", "'' is neither a file nor one of"),
        usage("--recipe 'a\\eb'", "--recipe", "x1bb"),
        failure("--recipe empty", "empty", "can't be read: it is a folder"),
        failure("--recipe maskstat.db", "maskstat.db", "not UTF-8 text"),
        failure("--recipe brackets.yaml", "brackets.yaml", "not valid YAML"),
        failure("--recipe number.yaml", "number.yaml", "a mapping such as 'crop: 512'"),
        failure("--recipe unknown.yaml", "unknown.yaml", "has 'clases', and knows crop, scale"),
    ),
    "--crop": tuple(
        usage(f"--crop '{text}'", "--crop", "is no size from 1 to 65536", "512x1024")
        for text in ("x", "", "0", "-1", "1.5", "2x", "2x3x4", "1_0", "٣", "65537", "9" * 400)
    ),
    "--scale": (
        *(
            usage(f"--crop 2 --scale '{text}'", "--scale", "ratios from 0.01 to 100", "0.5:2:log")
            for text in ("x", "", "0", "nan", "1:2:3", "1:", ":log", "1,", "0.5:inf", "0.5:101")
        ),
        usage("--crop 2 --scale 2:1", "--scale", "the lower and the higher"),
    ),
    "--cat-max-ratio": (
        *numbers("--crop 2 --cat-max-ratio"),
        usage("--crop 2 --cat-max-ratio 0", "--cat-max-ratio", "above 0 and at most 1"),
        usage("--crop 2 --cat-max-ratio 1.5", "--cat-max-ratio", "above 0 and at most 1"),
    ),
    "--sampler": (
        failure("--crop 2 --sampler nowhere.json", "nowhere.json", "can't be read"),
        failure("--crop 2 --sampler folder.json", "folder.json", "can't be read"),
        usage("--crop 2 --sampler weights.json", "--sampler", "says nothing of mask_1.npy"),
        usage("--crop 2 --sampler ''", "--sampler", "an empty text is no file's name"),
    ),
    "--nearest-colour": wholes("--nearest-colour", "from 0 to 255", -1, 256),
    "--average": (
        usage("--average jax", "--average", "'jax' is not one of pixel, batch (or keras, torch)"),
        usage("--for batc", "did you mean batch?"),
        usage("--average ''", "--average", "'' is not one of"),
        usage("--average 'a\\eb'", "--average", "a\\x1bb"),
        usage("--average batch", "--average", "depend", "--batch-size 8"),
        usage("--for torch", "--average", "depend", "--batch-size 8"),
    ),
    "--batch-size": (
        *wholes("--average batch --batch-size", "from 1 on", 0, -1),
        usage("--batch-size 4", "--batch-size", "goes with --average batch"),
        usage("--average pixel --batch-size 4", "--batch-size", "goes with --average batch"),
    ),
    "--drop-last": (
        usage("--drop-last", "--drop-last", "goes with --average batch"),
        usage("--average pixel --drop-last", "--drop-last", "goes with --average batch"),
    ),
    "--seed": (
        *wholes("--for torch --batch-size 2 --seed", "from 0 on", -1),
        usage("--seed 3", "--seed", "goes with --average batch"),
    ),
    "--predictor-confidence": (
        *numbers("--predictor-confidence"),
        *(
            usage(f"--predictor-confidence {text}", "--predictor-confidence", "no probability")
            for text in ("0", "-0", "1", "2", "-1", "1e-400", "0.99999999999999999999")
        ),
        usage("--predictor-confidence 1e-30", "--predictor-confidence", "above 0.25 and below 1"),
    ),
}
