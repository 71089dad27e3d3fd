"""The rows of `option_cases` for every command: (command, option) -> what is wrong in it."""

from __future__ import annotations

from tests.support.option_cases import (
    BEGINNINGS,
    IGNORED,
    LABELS,
    LAYOUT,
    NO_STORES,
    PLOTS,
    TABLES,
    Case,
    failure,
    missing,
    numbers,
    usage,
    wholes,
)
from tests.support.option_table_scan import SCAN

_SCHEMES = "known are equal-cost, balanced, max-count"


# Lines that begin with the command's name stand alone; others follow the command's beginning.
# What they are of: the stored masks have no spacing.
_MEASURE = (
    usage("--measure mm3", "--measure", "'mm3' is not one of pixels, volume"),
    usage("--measure ''", "--measure", "'' is not one of"),
    usage("--measure 'a\\eb'", "--measure", "a\\x1bb"),
    failure("--measure volume", "no mask has a spacing, first", "--measure pixels"),
)
SHOW: dict[str, tuple[Case, ...]] = {
    "--classes": LABELS,
    "--ignore": IGNORED,
    "--db": NO_STORES,
    "--measure": _MEASURE,
}

# Of commands that take a recipe and decode nothing.
_UNSEEN = (
    failure("--crop 1", "3 masks of 3 not worked out", "type: maskstat exposure --crop 1"),
    failure(
        "--crop 1x2 --scale 0.5:2 --classes 5 --ignore 3",
        "type: maskstat exposure --crop 1x2 --scale 0.5:2 --classes 5 --ignore 3\n",
    ),
    failure("--recipe deeplab", "type: maskstat exposure --recipe deeplab"),
)
_BY_CLASS = {
    "--draw": (
        usage("--draw rare", "--draw", "goes with --recipe or --crop"),
        usage("--crop 2 --draw rar", "--draw", "not one of rare, uniform", "did you mean rare?"),
        usage("--crop 2 --draw ''", "--draw", "not one of rare, uniform, and no file"),
        usage("--crop 2 --draw 'a\\eb'", "--draw", "x1bb"),
        failure("--crop 2 --draw named.yaml", "named.yaml"),
        usage("--crop 2 --scale 0.5:2 --draw rare", "--draw", "without a scale"),
        usage("--recipe mmseg-ade20k --draw rare", "--draw", "none refused"),
    ),
    "--chance": (
        usage("--chance 0.5", "--chance", "goes with --recipe or --crop"),
        usage("--crop 2 --chance 0.5", "--chance", "goes with --draw rare"),
        *(
            usage(f"--crop 2 --draw rare --chance {text}", "--chance", "a share from 0 to 1")
            for text in ("-0.1", "1.1", "67")
        ),
    ),
}
_SEEN = {
    **_BY_CLASS,
    "--crop": _UNSEEN,
    "--sampler": (usage("--sampler weights.json", "--sampler", "with --recipe or --crop"),),
}
_TORCH = "--for torch --batch-size 2"
WEIGHTS: dict[str, tuple[Case, ...]] = {
    **_SEEN,
    "--scheme": (
        usage("--scheme median-freq", "--scheme", "did you mean median-frequency?", _SCHEMES),
        usage("--scheme ''", "--scheme", "no scheme is called ''", _SCHEMES),
        usage("--scheme 'a\\eb'", "--scheme", "a\\", "x1bb"),
        failure(
            "--scan odd --scheme sqrt",
            "neither classes nor ignored",
            "--ignore 9 --ignore 200 where they are void",
        ),
        failure("--scan void --scheme sqrt", "255 is ignored by default", "--absent"),
    ),
    "--param": (
        usage("--param beta", "--param", "'beta' is not NAME=VALUE"),
        usage("--param beta=1", "--param", "equal-cost has no parameter 'beta'", "it has: none"),
        usage("--param =3", "--param", "no parameter ''"),
        usage("--scheme enet --param d=1", "no parameter 'd'", "it has: c"),
        usage("--scheme enet --param c=1 --param c=2", "--param", "'c' is given twice"),
        *(
            usage(f"--scheme enet --param 'c={text}'", "--param", "c must be a number", f"'{text}'")
            for text in ("x", "", "nan", "inf", "-inf", "1e999", "1_0", "٣")
        ),
        usage("--scheme enet --param 'c=a\\eb'", "--param", "x1bb"),
        usage("--scheme enet --param c=0.5", "--param c", "at least 1"),
        usage("--scheme power --param alpha=-1", "--param alpha", "must not be negative"),
        failure("--scheme power --param alpha=5000", "alpha=5000.0", "milder parameters"),
        usage("--scheme log --param mu=-0", "--param mu", "must be positive"),
        failure("--scheme log --param mu=1e308", "mu=1e+308", "milder parameters"),
        usage("--scheme effective-number --param beta=1", "--param beta", "below 1"),
        usage(
            "--scheme effective-number --param count=x",
            "count: 'x' is not one of masks",
        ),
        failure(
            "--scheme effective-number --param count=components",
            "no pixel profile",
            "type: maskstat scan",
            "--profile",
        ),
        usage(
            "--scheme median-frequency --param image_pixels=x",
            "image_pixels: 'x' is not one of",
        ),
        usage("--compare --param c=3", "--param", "--compare shows all schemes"),
    ),
    "--measure": (
        *_MEASURE,
        failure("--compare --measure volume", "no mask has a spacing, first"),
        failure("--counts 5000,6 --measure volume", "counts were given"),
    ),
    "--normalize": (
        usage("--normalize l2", "--normalize", "'l2' is not one of none, mean"),
        usage("--normalize summ", "did you mean sum?"),
        usage("--normalize ''", "--normalize", "'' is not one of"),
        usage("--normalize 'a\\eb'", "--normalize", "x1bb"),
    ),
    "--clip": (
        *(
            usage(f"--clip '{text}'", "--clip", f"'{text}' is not LO:HI", "--clip 0.1:10")
            for text in ("3", ":", "", "1:", "1:2:3", "nan:1", "0:inf", "0:1e999", "1_0:20", "٣:٤")
        ),
        usage("--clip 3:1", "--clip", "3:1 is no range of weights", "--clip 0.1:10"),
        usage("--clip -1:2", "--clip", "-1:2 is no range"),
        usage("--clip 0:0", "--clip", "0:0 is no range"),
        usage("--clip 'a\\eb:1'", "--clip", "a\\x1bb"),
    ),
    "--absent": (
        usage("--absent maybe", "--absent", "'maybe' is not one of zero, one, max, error"),
        usage("--absent ''", "--absent", "'' is not one of"),
        failure("--absent error", "class_2", "--absent: zero, one or max"),
        failure("--classes named.yaml", "pole", "--absent: zero, one or max"),
    ),
    "--average": (
        usage("--scheme enet --average batch", "--average", "goes with --scheme equal-cost"),
        usage("--scheme enet --for torch", "--average", "goes with --scheme equal-cost"),
        usage("--compare --for torch", "--average", "--compare shows all schemes"),
    ),
    "--batch-size": (
        usage("--scheme enet --batch-size 5", "--batch-size", "goes with --scheme equal-cost"),
    ),
    "--drop-last": (
        usage("--scheme enet --drop-last", "--drop-last", "goes with --scheme equal-cost"),
        usage("--compare --drop-last", "--drop-last", "--compare shows all schemes"),
    ),
    "--seed": (usage("--scheme enet --seed 5", "--seed", "goes with --scheme equal-cost"),),
    "--predictor-confidence": (
        usage("--scheme enet --predictor-confidence 0.9", "goes with --scheme equal-cost"),
    ),
    "--cost-matrix": (
        failure("--cost-matrix nowhere.csv", "nowhere.csv", "can't be read"),
        failure("--cost-matrix folder.csv", "folder.csv", "can't be read"),
        failure("--cost-matrix matrix_3.csv", "matrix_3.csv", "is 3 x 3", "4 rows of 4"),
        failure("--cost-matrix matrix_nan.csv", "matrix_nan.csv", "not finite"),
        failure("--cost-matrix matrix_words.txt", "matrix_words.txt", "not a table of numbers"),
        failure("--cost-matrix matrix_broken.json", "matrix_broken.json", "not a table of numbers"),
        failure("--cost-matrix matrix.npy", "matrix.npy", "not a table of numbers"),
        failure("--cost-matrix matrix.xlsx", "matrix.xlsx", "known are .npy, .csv, .txt, .json"),
        usage("--cost-matrix ''", "--cost-matrix", "an empty text is no file's name"),
        usage("--scheme enet --cost-matrix matrix.txt", "goes with --scheme equal-cost"),
        usage(f"{_TORCH} --best-effort --cost-matrix matrix.txt", "--cost-matrix", "--best-effort"),
    ),
    "--best-effort": (
        usage("--best-effort", "--best-effort", "always has an exact answer", "leave it out"),
        usage("--scheme enet --best-effort", "--best-effort", "goes with --scheme equal-cost"),
    ),
    "--max-ratio": (
        *numbers(f"{_TORCH} --best-effort --max-ratio"),
        *(
            usage(f"{_TORCH} --best-effort --max-ratio {text}", "--max-ratio", text, "1 and 1e12")
            for text in ("0", "-0", "0.5", "-3", "1e+300")
        ),
        usage("--max-ratio 10", "--max-ratio", "goes with --best-effort"),
    ),
    "--unlisted": (
        usage("--unlisted maybe", "--unlisted", "'maybe' is not one of refuse, ignore"),
        usage("--unlisted ''", "--unlisted", "'' is not one of"),
        usage("--unlisted 'a\\eb'", "--unlisted", "a\\x1bb"),
        failure("--scan odd", "9 (1 pixel in 1 mask", "200", "--ignore 9 --ignore 200"),
    ),
    "--allow-incomplete": (
        usage("weights --counts 3,4 --allow-incomplete", "--allow-incomplete", "a stored scan"),
    ),
    "--output": (
        *TABLES,
        usage("--compare -o x.json", "-o", "--compare writes no file", "choose one --scheme"),
    ),
    "--layout": (
        *LAYOUT,
        usage("-o x.json --layout pos_weight", "--layout", "did you mean pos-weight?"),
        failure("-o x.json --layout pos-weight", "pos_weight is w1 / w0 of two classes"),
        failure("--counts 9,4 -o x.csv --layout pos-weight", "x.csv", "can't hold the layout"),
    ),
    "--compare": (
        usage("--compare --all", "--all", "--compare has a row a scheme"),
        usage("--compare --order catalog", "--order", "--compare has a row a scheme"),
        usage("--compare --scheme enet", "--scheme", "--compare shows all schemes"),
        usage("--compare -o x.json", "-o", "--compare writes no file"),
        failure("--compare --scan void", "255 is ignored by default", "--absent"),
        failure(
            "--compare --scan odd",
            "neither classes nor ignored",
            "--ignore 9 --ignore 200 where they are void",
        ),
    ),
}

COSTS: dict[str, tuple[Case, ...]] = {
    **_SEEN,
    "--allow-incomplete": (
        usage("costs --counts 3,4 --allow-incomplete", "--allow-incomplete", "a stored scan"),
    ),
    "--weights": (
        failure("--weights nowhere.json", "nowhere.json", "can't be read"),
        failure("--weights folder.json", "folder.json", "can't be read"),
        failure("--weights three.json", "three.json", "holds 3 weights, but the scan has 4"),
        failure("--weights zero.json", "zero.json", "gives every class that occurs the weight 0"),
        failure("--weights nan.json", "nan.json", "not a finite number of at least 0"),
        failure("--weights negative.csv", "negative.csv", "not a finite number of at least 0"),
        failure("--weights words.json", "words.json", "holds something else, not weights"),
        failure("--weights broken.json", "broken.json", "not a readable .json file"),
        failure("--weights text.db", "text.db", "has the suffix '.db'", "known are .json"),
        usage("--weights ''", "--weights", "an empty text is no file's name"),
        usage("--weights weights.json --scheme enet", "choose one of --weights and --scheme"),
    ),
    "--scheme": (
        usage("--scheme nothing", "--scheme", "called 'nothing'", _SCHEMES),
        usage("--scheme ''", "--scheme", "called ''", _SCHEMES),
        failure("--scan void --scheme sqrt", "nothing to weigh", "--classes and --ignore"),
    ),
    "--output": PLOTS,
}

SAMPLING: dict[str, tuple[Case, ...]] = {
    "--crop": _UNSEEN,
    "--allow-incomplete": (
        usage("--methods --allow-incomplete", "--allow-incomplete", "--methods lists the methods"),
    ),
    "--method": (
        usage("--method repeat-facto", "did you mean repeat-factor?", "known are repeat-factor"),
        usage("--method ''", "--method", "called ''"),
        usage("--method 'a\\eb'", "--method", "x1bb"),
        failure("--scan void", "no class mix", "--classes and --ignore"),
    ),
    "--param": (
        usage("--param threshold", "--param", "'threshold' is not NAME=VALUE"),
        usage("--param limit=1", "no parameter 'limit'", "it has: threshold"),
        usage("--param threshold=1 --param threshold=2", "'threshold' is given twice"),
        usage("--param threshold=-1", "--param threshold", "must not be negative"),
        usage("--param threshold=nan", "--param", "'nan'"),
        failure("--param threshold=1e308", "threshold=1e+308", "milder parameters"),
        usage("--method inverse-frequency --param power=-1", "--param power", "not be negative"),
        usage("--method target-mix --param effective=2", "--param effective", "from 0 to 1"),
        usage("--method target-mix --param target=x", "target: 'x' is not one of uniform, sqrt"),
        usage("--method target-mix --param distance=x", "distance: 'x' is not one of kl, squares"),
    ),
    "--methods": tuple(
        usage(f"--methods {text}", text.split()[0], "--methods lists the methods")
        for text in (
            "--method target-mix",
            "--param threshold=1",
            "--allow-incomplete",
            "-o x.csv",
            "--layout list",
            "--recipe deeplab",
            "--crop 2",
            "--scan masks",
            "--db maskstat.db",
            "--classes 4",
            "--ignore 3",
        )
    ),
    "--output": TABLES,
    "--layout": LAYOUT,
}

CHECK: dict[str, tuple[Case, ...]] = {
    "--against": (
        failure("--against nothing", "no scan called 'nothing'", "it has: "),
        usage("--against masks", "--against", "'masks' is the scan to check itself"),
        usage("--against fine --against fine", "--against", "'fine' is named twice"),
    ),
    "--images": (
        failure("--images nowhere", "nowhere", "no such file or folder"),
        failure("--images empty", "empty", "no images found", "images end in .bmp"),
        failure("--images masks", "masks", "no images found"),
        usage("--images ''", "--images", "an empty text is no file's name"),
    ),
    "--image-suffix": (usage("--image-suffix _x", "--image-suffix", "goes with --images DIR"),),
    "--mask-suffix": (usage("--mask-suffix _x", "--mask-suffix", "goes with --images DIR"),),
    "--min-masks": wholes("--min-masks", "from 0 on", -1),
    "--min-components": (
        *wholes("--min-components", "from 0 on", -1),
        failure("--min-components 3", "masks: there is no pixel profile", "--profile"),
    ),
    "--fail-on": (
        usage("--fail-on duplicat", "'duplicat'", "did you mean duplicate?", "known are error"),
        usage("--fail-on ''", "--fail-on", "'' is neither a severity nor a kind"),
        usage("--fail-on error,", "--fail-on", "'' is neither a severity nor a kind"),
        usage("--fail-on 'a\\eb'", "--fail-on", "x1bb"),
        failure("--scan odd --fail-on unlisted", "--fail-on", "unlisted (2 values)")._replace(
            prints=True
        ),
    ),
}

COMPARE: dict[str, tuple[Case, ...]] = {
    "SCANS": (
        usage("compare", "SCAN"),
        usage("compare masks", "masks: a comparison needs two", "maskstat compare train val"),
        usage("compare masks masks", "masks masks", "two or more different splits"),
        failure("compare masks nothing", "no scan called 'nothing'", "it has: "),
        failure("compare masks void", "void", "not one labelled pixel"),
        failure("compare masks colours", "different classes", "masks (4", "--classes FILE"),
    ),
    "--fail-above": (
        usage("--fail-above js", "--fail-above", "'js' is not NAME=VALUE"),
        usage("--fail-above leakag=1", "'leakag'", "did you mean leakage?", "known are js, psi"),
        usage("--fail-above js=0 --fail-above js=1", "'js' is given twice"),
        *(
            usage(f"--fail-above 'js={text}'", "--fail-above js", f"'{text}' is not a number of at")
            for text in ("x", "", "nan", "inf", "1e999", "1_0", "٣", "-1")
        ),
        failure("--fail-above js=0", "--fail-above", "js of masks : fine is", "above 0")._replace(
            prints=True
        ),
    ),
    "--fail-below": (
        usage("--fail-below p", "--fail-below", "'p' is not NAME=VALUE"),
        usage("--fail-below j=0.1", "'j'", "did you mean js?", "known are p, js, psi"),
        usage("--fail-below p=0.1 --fail-below p=1", "'p' is given twice"),
        usage("--fail-below p=0", "--fail-below p", "0 is not above 0 and at most 1"),
        usage("--fail-below p=1.5", "--fail-below p", "1.5 is not above 0 and at most 1"),
        *(
            usage(f"--fail-below 'p={text}'", "--fail-below p", f"'{text}' is not a number of at")
            for text in ("x", "", "nan", "1_0", "-1")
        ),
        failure(
            "--fail-below js=1e-9", "js of masks : fine", "give no p-value below 1e-09"
        )._replace(prints=True),
    ),
}

PLOT: dict[str, tuple[Case, ...]] = {
    **_SEEN,
    "KIND": (
        usage("plot", "KIND"),
        usage("plot class -o x.png", "'class'", "did you mean classes?", "known are classes, rank"),
        usage("plot '' -o x.png", "no plot is called ''"),
        usage("plot 'a\\eb' -o x.png", "x1bb"),
        failure("plot weights -o x.png --scan void", "nothing to weigh"),
        *(
            failure(f"plot {kind} -o x.png", "masks: there is no pixel profile", "--profile")
            for kind in ("heatmaps", "components", "adjacency")
        ),
    ),
    "--output": (
        usage("plot classes", "-o"),
        *(case._replace(line=f"plot classes {case.line}") for case in PLOTS),
    ),
    "--scan": (
        usage("--scan masks --scan fine", "--scan", "classes shows one scan", "plot compare"),
        usage("plot compare -o x.png", "--scan", "got 1", "--scan train --scan val"),
        usage("plot compare -o x.png --scan masks --scan masks", "'masks' is named twice"),
    ),
    "--log": (
        usage("plot rank -o x.png --log", "--log", "plot rank has no such", "it has: none"),
        usage("plot rank -o x.png --linear", "--log", "plot rank has no such", "it has: none"),
    ),
    "--order": (
        usage("--order size", "--order", "'size' is not one of frequency, catalog"),
        usage("--order ''", "--order", "'' is not one of"),
        usage("plot rank -o x.png --order catalog", "--order", "plot rank has no such option"),
    ),
    "--scheme": (
        usage("--scheme enet", "--scheme", "plot classes has no such", "it has: --log, --order"),
        usage("plot weights -o x.png --scheme nothing", "called 'nothing'", _SCHEMES),
        usage("plot costs -o x.png --scheme ''", "called ''", _SCHEMES),
    ),
    "--dpi": wholes("--dpi", "from 36 to 600", 35, 601, -1),
}

REPORT: dict[str, tuple[Case, ...]] = {
    **_SEEN,
    "--output": tuple(
        case._replace(line=f"report {case.line}")
        for case in (
            usage("-o x.xlsx", "x.xlsx", "has the suffix '.xlsx'", ".html, .md or .json"),
            usage("-o x", "x: ", "has the suffix ''", "give --format"),
            usage("-o 'a\\eb'", "a\\x1bb"),
            usage("-o ''", "-o", "an empty text is no file's name"),
            failure("-o absent/x.md", "absent/x.md", "there is no folder absent"),
            failure("-o list.txt/x.json", "list.txt/x.json", "there is no folder list.txt"),
            failure("-o folder.html", "folder.html", "can't be written: it is a folder"),
        )
    ),
    "--format": (
        usage("report --format pdf", "--format", "'pdf' is not one of html, md, json"),
        usage("report --format ''", "--format", "'' is not one of"),
        usage("report --format 'a\\eb'", "--format", "x1bb"),
        usage("report --format html -o x.md", "x.md", "its suffix means md, and html is asked for"),
    ),
    "--examples": (
        *wholes("report --examples", "from 0 to 20", -1, 21),
        usage("report --format md --examples 2", "--examples", "in md has no pictures"),
    ),
    "--against": (
        failure("report --against nothing", "no scan called 'nothing'", "it has: "),
        usage(
            "report --against masks", "--against", "'masks' is the scan that the report is about"
        ),
    ),
    "--json": (
        usage("report --format md --json", "--json and --format md contradict"),
        usage("report --json -o x.html", "x.html", "means html, and json is asked for"),
    ),
}

_RUNNING: dict[str, tuple[Case, ...]] = {
    "--workers": (
        *wholes("--workers", "from 1 on", 0, -1),
        usage("--workers 5000", "--workers", "at most 1,024"),
    ),
    "--executor": (
        usage("--executor spark", "--executor", "'spark' is not one of threads, dask"),
        usage("--executor ''", "--executor", "'' is not one of"),
    ),
    "--scheduler": (
        usage("--scheduler tcp://a:1", "--scheduler", "goes with --executor dask"),
        usage("--scheduler ''", "--scheduler", "'' is no name"),
    ),
    "--unlisted": (
        usage("--unlisted maybe", "--unlisted", "'maybe' is not one of refuse, ignore"),
        usage("--unlisted ''", "--unlisted", "'' is not one of"),
        failure("--scan odd", "neither classes nor ignored", "--ignore 9 --ignore 200"),
    ),
}

EXPOSURE: dict[str, tuple[Case, ...]] = {
    "--draw": (
        *_BY_CLASS["--draw"][1:],
        usage("exposure --draw rare", "--recipe", "none is given"),
        usage("--draw rare --sampler weights.json", "--sampler", "draws masks itself"),
    ),
    "--chance": (
        *_BY_CLASS["--chance"][1:],
        usage("exposure --chance 0.5", "--recipe", "none is given"),
    ),
    "--recipe": (
        usage("exposure", "--recipe", "none is given", "--crop 512", "--recipe FILE"),
        usage("exposure --batch-size 2", "--recipe", "none is given"),
    ),
    "--batch-size": wholes("--batch-size", "from 1 on", 0, -1),
    "--drop-last": (usage("exposure --drop-last", "--recipe", "none is given"),),
    "--crops": wholes("--crops", "from 1 to 65536", 0, -1, 65537),
    "--approximate": (
        failure("--approximate", "there is no pixel profile", "type: maskstat scan", "--profile"),
        *(
            usage(f"--approximate {text}", text.split()[0], "without --approximate")
            for text in (
                "--batch-size 2",
                "--drop-last",
                "--sampler x.json",
                "--draw rare",
                "--chance 0.5",
                "--crops 3",
                "--presence",
                "--workers 2",
                "--executor dask",
            )
        ),
    ),
    **_RUNNING,
}

PRESETS: dict[str, tuple[Case, ...]] = {
    "NAME": (
        failure("cityscape", "called 'cityscape'", "did you mean cityscapes?", "lists them"),
        failure("''", "no preset is called ''", "'maskstat presets' lists them"),
        failure("'a\\eb'", "x1bb", "lists them"),
        usage("voc extra", "extra"),
    ),
}

SCANS: dict[str, tuple[Case, ...]] = {
    "--remove": (
        failure("--remove mask", "no scan called 'mask'", "did you mean masks?"),
        failure("--remove ''", "no scan called ''", "it has: "),
        failure("--remove 'a\\eb'", "x1bb", "it has: "),
    ),
    "--json": (usage("--remove masks --json", "--json", "--remove prints none"),),
}

MERGE: dict[str, tuple[Case, ...]] = {
    "STORES": (
        usage("merge -o new.db", "STORE"),
        usage("''", "STORE", "an empty text is no file's name"),
        failure("nowhere.db", "nowhere.db", "there is no scan store"),
        failure("empty", "empty: is a folder", "empty/maskstat.db"),
        failure("text.db", "text.db", "not a database"),
        failure("other.db", "other.db", "not a scan store"),
        failure("hollow.db", "hollow.db", "holds no scan yet"),
        failure("torn.db", "torn.db", "damaged"),
        failure("newer.db", "newer.db", "pip install -U maskstat"),
        failure("coloured.db", "coloured.db", "classes", "--classes says which to take"),
    ),
    "--output": (
        usage("merge maskstat.db", "-o"),
        usage("merge maskstat.db -o ''", "-o", "an empty text is no file's name"),
        failure("merge maskstat.db -o absent/x.db", "absent/x.db", "there is no folder absent"),
        failure("merge maskstat.db -o list.txt/x.db", "there is no folder list.txt"),
        failure("merge maskstat.db -o empty", "empty", "is a folder", "-o"),
        failure("merge maskstat.db -o :memory:", ":memory:", "is no file"),
        failure("merge maskstat.db -o hollow.db", "hollow.db", "a file already", "--force"),
    ),
    "--name": (usage("--name ''", "--name", "'' is no name"),),
    "--scan": (
        failure("--scan mask", "no scan called 'mask'", "did you mean masks?"),
        failure("--scan masks --scan nothing", "--scan", "'nothing'", "leave it out"),
        failure("--scan masks --scan colours", "colours", "--classes says which to take"),
    ),
    "--prefer": (
        usage("--prefer oldest", "--prefer", "'oldest' is not one of newest"),
        usage("--prefer ''", "--prefer", "'' is not one of"),
    ),
    "--separate": (
        usage(
            "merge maskstat.db maskstat.db -o new.db --separate",
            "--separate",
            "two stores are called 'maskstat'",
            "rename",
        ),
    ),
    "--force": (
        failure("merge maskstat.db -o text.db --force", "text.db", "not a database"),
        failure("merge maskstat.db -o empty --force", "empty", "is a folder"),
    ),
}

EXPORT: dict[str, tuple[Case, ...]] = {
    "--output": (
        usage("-o x.xlsx", "-o", "x.xlsx", ".parquet or .csv"),
        usage("-o x", "-o", "'x'", ".parquet or .csv"),
        usage("-o ''", "-o", "an empty text is no file's name"),
        failure("-o absent/x.csv", "absent/x.csv", "there is no folder absent"),
        failure("-o folder.csv", "folder.csv", "it is a folder"),
        missing("export -o x.parquet", "pyarrow", "parquet"),
    ),
    "--format": (
        usage("--format xlsx", "--format", "'xlsx' is not one of parquet, csv"),
        usage("--format ''", "--format", "'' is not one of"),
        usage("--format parquet", "--format", "Parquet needs a file", "-o"),
        usage("--format daformer", "--format", "two files in a folder", "-o"),
        usage("--format daformer -o x.csv", "x.csv", "its suffix means csv"),
        usage("--format daformer --layout long -o x", "--layout", "goes with --format parquet"),
        usage("--format csv -o x.parquet", "x.parquet", "means parquet, and csv is asked for"),
    ),
    "--layout": (
        usage("--layout x", "--layout", "'x' is not one of wide, long"),
        usage("-o x.csv --layout ''", "--layout", "'' is not one of"),
        usage("--classes 5000", "5,000 classes", "4,096 columns", "--layout long"),
    ),
}

RECOMMEND: dict[str, tuple[Case, ...]] = {
    **_SEEN,
    "--measure": (
        usage("--measure dice", "--measure", "'dice' is not one of iou, recall, accuracy"),
        usage("--measure ''", "--measure", "'' is not one of"),
    ),
    "--against": (
        failure("--against nothing", "no scan called 'nothing'"),
        usage("--scan masks --against masks", "--against", "'masks' is the scan itself"),
    ),
    "--unlisted": (
        failure("--scan odd", "neither classes nor ignored", "--ignore 9 --ignore 200"),
        usage("--unlisted drop", "--unlisted", "'drop' is not one of refuse, ignore"),
    ),
    "--batch-size": wholes("--batch-size", "from 1 on", 0, -1),
    "--snippet": (
        usage("--snippet jax", "--snippet", "'jax' is not one of torch, keras, mmseg"),
        usage("--snippet keras --json", "--snippet", "goes with tables"),
    ),
    "--why": (usage("--why --json", "--why", "goes with tables, without --json"),),
    "--output": TABLES,
}
DECIDE: dict[str, tuple[Case, ...]] = {
    "PREDICTIONS": (
        usage("decide", "PREDICTIONS"),
        usage("decide ''", "an empty text is no file's name"),
        failure("decide nowhere --group-by mask", "nowhere", "is no folder of predictions"),
        failure("decide empty --group-by mask", "predictions of none of 3 masks", "mask_1.npy"),
        failure("decide masks --group-by mask", "mask_1.npy", "holds uint8", "floating-point"),
        usage("decide scores", "--group-by", "is needed", "--group-by mask"),
    ),
    "--measure": (
        usage("--measure dice", "--measure", "'dice' is not one of iou, image-iou, recall"),
        usage("--measure ''", "--measure", "'' is not one of"),
    ),
    "--train": (
        failure("--train nothing", "no scan called 'nothing'"),
        failure("--train ''", "no scan called ''"),
    ),
    "--weights": (
        failure("--weights nowhere.json", "nowhere.json"),
        failure("--weights classes.yaml", "classes.yaml"),
        usage("--weights ''", "--weights", "an empty text is no file's name"),
    ),
    "--output": (
        failure("-o x.csv", "x.csv", "shifts are written as .json"),
        usage("-o ''", "-o", "an empty text is no file's name"),
    ),
}
SPLIT: dict[str, tuple[Case, ...]] = {
    "FILES": (
        usage("split list.txt", "FILE", "goes with --certify"),
        usage("split --certify", "--certify", "two parts or more"),
        usage("split --certify nowhere.txt other.txt", "--certify nowhere.txt", "can't be read"),
    ),
    "--ratios": (
        usage("split", "--ratios", "is it ratios or folds", "--folds 5"),
        usage("split --ratios 0.5,0.5 --folds 2", "--ratios", "is it ratios or folds"),
        usage("split --ratios 0.8,0.1", "--ratios", "add up to 0.9, not to 1"),
        usage("split --ratios 8,1", "--ratios train", "8.0 is no share between 0 and 1"),
        usage("split --ratios ''", "--ratios", "'' is no number"),
        usage("split --ratios 0.4,0.3,0.2,0.1", "--ratios", "4 numbers without names"),
        usage("split --ratios a/b=0.5,c=0.5", "--ratios", "'a/b' is no name of a part"),
    ),
    "--folds": (
        *wholes("--folds", "from 2 on", 1),
        usage("split --folds 50", "--folds", "can't fill 50 parts"),
    ),
    "--fixed": (
        usage("--fixed nowhere.txt", "--fixed", "there is no part 'nowhere'"),
        usage("--fixed 0.txt", "--fixed 0.txt", "can't be read"),
        usage("--fixed ''", "--fixed", "an empty text is no file's name"),
    ),
    "--tolerance": (
        *numbers("--tolerance"),
        usage("--tolerance 1.5", "--tolerance", "1.5 is no share from 0 to 1"),
    ),
    "--seed": wholes("--seed", "from 0 on", -1),
    "--certify": (usage("--certify a.txt b.txt", "--folds", "goes with a split that is made"),),
    "--output": (
        failure("-o x.xls", "x.xls", ".xls is no format of splits", "or a folder"),
        usage("-o ''", "-o", "an empty text is no file's name"),
    ),
    "--scan": (
        failure("--scan nothing", "no scan called 'nothing'"),
        usage("--scan masks --scan masks", "--scan", "is in two of the scans"),
        failure("--scan masks --scan colours", "different classes"),
        failure("--scan void", "no mask has a labelled pixel"),
    ),
}

CLASS_INDEX: dict[str, tuple[Case, ...]] = {
    "--output": (
        failure("-o x.json", "x.json", "a class index is a .npz", "call it x.npz"),
        failure("-o nowhere/x.npz", "nowhere/x.npz", "there is no folder nowhere"),
        usage("-o ''", "-o", "an empty text is no file's name"),
    ),
    **_RUNNING,
}

TABLE = {
    "class-index": CLASS_INDEX,
    "split": SPLIT,
    "decide": DECIDE,
    "recommend": RECOMMEND,
    "merge": MERGE,
    "export": EXPORT,
    "scan": SCAN,
    "show": SHOW,
    "weights": WEIGHTS,
    "costs": COSTS,
    "sampling": SAMPLING,
    "exposure": EXPOSURE,
    "check": CHECK,
    "compare": COMPARE,
    "plot": PLOT,
    "report": REPORT,
    "presets": PRESETS,
    "scans": SCANS,
}

# Here the rows that all commands share do not apply: a store is made, or many are searched.
OWN_ROWS_ONLY = {
    ("exposure", "--batch-size"),
    ("recommend", "--batch-size"),
    ("exposure", "--drop-last"),
    ("scan", "--db"),
    ("merge", "--scan"),
    ("plot", "--order"),
    ("split", "--seed"),
}

# Flags that are never wrong, alone or beside others. (A value is: every flag refuses one.)
HARMLESS = {
    ("", "--version"): "prints the version, whatever else is said",
    ("", "--install-completion"): "writes into the settings of the shell",
    ("", "--show-completion"): "prints what the shell takes",
    ("split", "--allow-incomplete"): "where the scan is complete it changes nothing",
    ("class-index", "--allow-incomplete"): "where the scan is complete it changes nothing",
    ("recommend", "--allow-incomplete"): "where the scan is complete it changes nothing",
    ("exposure", "--allow-incomplete"): "where the scan is complete it changes nothing",
    ("exposure", "--presence"): "more is known then",
    ("merge", "--allow-incomplete"): "where all scans are complete it changes nothing",
    ("scan", "--index"): "more is known then",
    ("scan", "--rescan"): "where nothing was counted before it changes nothing",
    **{
        (command, "--json"): "says how to print what is printed anyhow"
        for command in BEGINNINGS
        if command not in {"plot", "report", "scans", "export", "class-index"}
    },
}
