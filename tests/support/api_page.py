"""docs/api.md from signatures and docstrings, read from the source: no framework is imported."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterable, Iterator
from functools import cache
from typing import NamedTuple

from tests.support.paths import ROOT

PAGE = ROOT / "docs" / "api.md"
COMMAND = "MASKSTAT_REWRITE_DOCS=1 python -m pytest tests/house/test_api_page.py"
LINE = 88

# Sections in the order of the page: title, what is in it, and where its names live.
SECTIONS = (
    (
        "Making scans",
        "A scan is what was counted of a set of masks, read under a catalogue of classes.",
        ("api.making", "scanning.recording", "api.stores", "api.merging"),
    ),
    (
        "What a scan can do",
        "Every command is a method here, with the same words.",
        ("api.scan", "render.plots"),
    ),
    (
        "Counting what is in memory",
        "Arrays, tensors, data sets and loaders; masks that are drawn.",
        ("api.counting", "counting", "sources.annotations.drawn_masks"),
    ),
    (
        "Watching a loader",
        "Whether training gets what a recipe says.",
        ("api.watching", "api.loader_check"),
    ),
    ("Counts you have", "Where somebody has counted already.", ("api.given_counts",)),
    ("Weights", "One number a class.", ("weights",)),
    (
        "Recommendations",
        "What to do about an imbalance, and which rule says so: `Scan.recommend`.",
        ("advice",),
    ),
    ("Costs", "What constant predictions cost under weights.", ("api.costs",)),
    ("Sampling", "How often to draw each mask.", ("sampling",)),
    ("Splits", "Parts in which every class has its share: `Scan.split`.", ("splits",)),
    ("Decisions", "Whether another decision than argmax helps: `Scan.decide`.", ("decision",)),
    (
        "Crops",
        "Crops that find rare classes, and where each class is in every mask: `Scan.class_index`.",
        ("crops", "values.crop_draws", "arrays.crop_dataset"),
    ),
    (
        "Exposure",
        "What lies between masks and the loss: `Scan.exposure` takes it.",
        ("exposure.recipe", "exposure.rescaling"),
    ),
    (
        "Findings and comparisons",
        "What is wrong with a set of masks, and how sets differ.",
        ("api.check", "statistics", "scanning", "store"),
    ),
    (
        "What there is to choose from",
        "Schemes, methods and catalogues of public data sets, and what plugins bring.",
        ("api.registries", "api.choices"),
    ),
    (
        "Values",
        "What everything is about. Values are frozen and their arrays read-only; those that count"
        " add up with `+` and `sum`.",
        ("values", "regions", "training", "version"),
    ),
    (
        "Errors",
        "All are `MaskstatError`; what they say names the parameter and the remedy.",
        ("errors",),
    ),
)
# Methods of the frameworks, whose documents describe them.
OVERRIDDEN = {
    *("build", "call", "compile_from_config", "compute_metrics", "compute_output_shape"),
    *("extra_repr", "forward", "from_config", "get_compile_config", "get_config", "train_step"),
}
# Rooms whose classes are values that a user gets without asking for them by name.
VALUE_ROOMS = {
    "api",
    "crops",
    "exposure",
    "regions",
    "sampling",
    "scanning",
    "statistics",
    "store",
    "training",
    "values",
    "weights",
}
FRAMEWORKS = (("PyTorch", "maskstat.torch"), ("Keras", "maskstat.keras"))


class Place(NamedTuple):
    """Where something is defined: the dotted module, and the node; None for a whole module."""

    module: str
    node: ast.stmt | None


Function = ast.FunctionDef


@cache
def tree(module: str) -> ast.Module:
    """A module of the package."""
    path = ROOT.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(file.read_text(encoding="utf-8"))


def is_module(module: str) -> bool:
    path = ROOT.joinpath(*module.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


@cache
def find(module: str, name: str) -> Place | None:
    """Where a name that is used in a module is defined; None outside of the package."""
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("maskstat"):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    inner = f"{node.module}.{alias.name}"
                    # A function may hide the module that it is called as.
                    place = None if node.module == module else find(str(node.module), alias.name)
                    return Place(inner, None) if place is None and is_module(inner) else place
    for node in tree(module).body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.name == name:
            return Place(module, node)
        targets = node.targets if isinstance(node, ast.Assign) else ()
        targets = (node.target,) if isinstance(node, ast.AnnAssign) else targets
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            return Place(module, node)
    return None


def offered(module: str) -> list[str]:
    """The names in `__all__`, in its order."""
    place = find(module, "__all__")
    assert place is not None and isinstance(place.node, ast.Assign)
    return list(ast.literal_eval(place.node.value))


# --- what a name looks like ---------------------------------------------------------------------


def type_text(node: ast.expr | None, module: str) -> str:
    """An annotation as people write it, aliases of the package spelled out."""
    if node is None:
        return ""

    class Spelled(ast.NodeTransformer):
        def visit_Name(self, name: ast.Name) -> ast.expr:
            place = find(module, name.id)
            if place is None or not isinstance(place.node, (ast.Assign, ast.AnnAssign)):
                return name
            value = place.node.value
            if value is None or (isinstance(value, ast.Call) and "TypeVar" in ast.unparse(value)):
                return name
            return ast.parse(type_text(value, place.module), mode="eval").body

        def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
            self.generic_visit(node)
            return node

    text = ast.unparse(Spelled().visit(ast.parse(ast.unparse(node), mode="eval").body))
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        text = node.value
    text = re.sub(r"\b(?:np|npt|numpy)\.", "", text)
    text = re.sub(r"ndarray\[tuple\[[\w, ]*\], dtype\[(\w+)\]\]", r"NDArray[\1]", text)
    return quoted(text)


def default_text(node: ast.expr, module: str) -> str:
    """A default as a user types it: constants of the package by their value."""
    if isinstance(node, ast.Name) and (place := find(module, node.id)) is not None:
        value = getattr(place.node, "value", None)
        if isinstance(value, (ast.Constant, ast.UnaryOp)):
            return quoted(ast.unparse(value))
    return quoted(ast.unparse(node))


def quoted(text: str) -> str:
    """Texts in double quotes, as everywhere else."""
    return text if '"' in text else text.replace("'", '"')


def parameters(node: Function, module: str, *, bound: bool) -> Iterator[str]:
    """Each parameter with its type and default, and the marks between them."""
    every = node.args
    plain = [*every.posonlyargs, *every.args]
    defaults = [None] * (len(plain) - len(every.defaults)) + list(every.defaults)
    for at, (argument, default) in enumerate(zip(plain, defaults, strict=True)):
        if not (bound and at == 0):
            yield parameter(argument, default, module)
        if every.posonlyargs and at == len(every.posonlyargs) - 1:
            yield "/"
    if every.vararg is not None:
        yield "*" + parameter(every.vararg, None, module)
    elif every.kwonlyargs:
        yield "*"
    for argument, default in zip(every.kwonlyargs, every.kw_defaults, strict=True):
        yield parameter(argument, default, module)
    if every.kwarg is not None:
        yield "**" + parameter(every.kwarg, None, module)


def parameter(argument: ast.arg, default: ast.expr | None, module: str) -> str:
    text = argument.arg
    if argument.annotation is not None:
        text += f": {type_text(argument.annotation, module)}"
    return text if default is None else f"{text} = {default_text(default, module)}"


def signature(name: str, node: Function, module: str, *, bound: bool) -> str:
    """A call of it: in one line, or a parameter a line."""
    given = list(parameters(node, module, bound=bound))
    returns = type_text(node.returns, module)
    end = f") -> {returns}" if returns and name.rpartition(".")[2][:1].islower() else ")"
    line = f"{name}({', '.join(given)}{end}"
    if len(line) <= LINE:
        return line
    return "\n".join([f"{name}(", *(f"    {one}," for one in given), end])


def decorators(node: Function) -> set[str]:
    return {ast.unparse(one).rpartition(".")[2] for one in node.decorator_list}


def is_property(node: Function) -> bool:
    return bool(decorators(node) & {"property", "cached_property"})


def members(node: ast.ClassDef, module: str) -> dict[str, tuple[Function, str]]:
    """Public methods and properties with their modules, then those of bases in the package."""
    framework = module.split(".")[1] in {"torch", "keras"}
    found: dict[str, tuple[Function, str]] = {}
    for inner in node.body:
        if not isinstance(inner, ast.FunctionDef) or "overload" in decorators(inner):
            continue
        if inner.name.startswith("_") and inner.name != "__init__":
            continue
        if not (framework and inner.name in OVERRIDDEN):
            found[inner.name] = (inner, module)
    for base in node.bases:
        place = find(module, ast.unparse(base).partition("[")[0])
        if place is not None and isinstance(place.node, ast.ClassDef):
            if place.node.name in offered("maskstat"):  # it has its own place on the page
                continue
            for name, pair in members(place.node, place.module).items():
                found.setdefault(name, pair)
    return found


# --- docstrings as Markdown ----------------------------------------------------------------------

HEADING = re.compile(r"^(Args|Attributes|Returns|Yields|Raises|Warns):$")
ITEM = re.compile(r"^([*\w][\w*, ]*?): (.*)$", re.DOTALL)


def paragraphs(doc: str) -> Iterator[str]:
    """A docstring in Markdown: a heading with indented items becomes a list."""
    lines = inspect.cleandoc(doc).splitlines()
    at = 0
    while at < len(lines):
        stop = at
        while stop < len(lines) and not HEADING.match(lines[stop]):
            stop += 1
        if text := "\n".join(lines[at:stop]).strip("\n"):
            yield escaped(text)
        if stop == len(lines):
            return
        at = stop + 1
        while at < len(lines) and (not lines[at] or lines[at].startswith(" ")):
            at += 1
        inner = textwrap.dedent("\n".join(lines[stop + 1 : at])).strip()
        yield f"**{lines[stop]}**"
        yield "\n".join(items(inner))


def items(text: str) -> Iterator[str]:
    """Entries of a section, whose further lines are indented, as a list; or the text as it is."""
    entries = [" ".join(entry.split()) for entry in re.split(r"\n(?=\S)", text)]
    matches = [ITEM.match(entry) for entry in entries]
    if not all(matches):
        yield escaped(" ".join(text.split()))
        return
    for match in matches:
        assert match is not None
        names = ", ".join(f"`{name.strip()}`" for name in match[1].split(","))
        yield f"- {names}: {escaped(match[2])}"


def escaped(text: str) -> str:
    """No text outside of code becomes a tag."""
    parts = re.split(r"(`[^`]*`|^    .*$)", text, flags=re.MULTILINE)
    return "".join(part if at % 2 else part.replace("<", "\\<") for at, part in enumerate(parts))


def documented(node: ast.AST) -> str | None:
    assert isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Module))
    return ast.get_docstring(node)


# --- the page ---------------------------------------------------------------------------------


def page() -> str:
    """The whole page."""
    return "\n\n".join(blocks()) + "\n"


def blocks() -> Iterator[str]:
    yield f"<!-- Made from the docstrings; to make it anew: {COMMAND} -->"
    yield "# The Python library"
    yield (
        "`import maskstat as ms` offers all names of this page but those of the last three"
        " sections. Shapes are written `float64[K]`: K numbers, one a class; B counts masks."
    )
    yield (
        "`repr` of a value is one line, whatever it holds. In notebooks scans, histograms, weights,"
        " costs, samplings, findings and comparisons are shown as the tables that the command line"
        " prints, and `to_pandas()` gives a table of their numbers (`pip install pandas`)."
    )
    parts = list(sections())
    titles = [(title, [f"`{name}`" for name in names]) for title, _, names in parts]
    titles += [("What these give", [])]
    titles += [(f"{title}: `{module}`", []) for title, module in FRAMEWORKS]
    yield "\n".join(
        f"- [{title}](#{anchor(title)}){': ' if names else ''}{', '.join(names)}"
        for title, names in titles
    )
    for title, about, names in parts:
        yield f"## {title}"
        yield about
        for name in names:
            yield from described(name, find_offered("maskstat", name), prefix="ms.")
        if title == "Errors":
            yield f"```text\n{error_tree()}\n```"
    yield "## What these give"
    yield "Values that come with others; nobody has to make them."
    for name, (module, node) in sorted(handed_out().items()):
        assert isinstance(node, ast.ClassDef)
        yield f"### `{name}`"
        yield from class_blocks(node, module)
        own = {key: pair for key, pair in members(node, module).items() if pair[1] == module}
        yield from properties(own)
    for title, module in FRAMEWORKS:
        yield f"## {title}: `{module}`"
        yield from paragraphs(documented(tree(module)) or "")
        for name in sorted(offered(module), key=str.lower):
            yield from described(name, find_offered(module, name), prefix="")


def anchor(title: str) -> str:
    """What GitHub calls a heading."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def find_offered(module: str, name: str) -> Place:
    place = find(module, name)
    assert place is not None, f"{module} offers {name}, which is nowhere"
    return place


def sections() -> Iterator[tuple[str, str, list[str]]]:
    """Title, introduction and names of each section that has any."""
    homes = {
        name: find_offered("maskstat", name).module.removeprefix("maskstat.")
        for name in offered("maskstat")
        if not name.startswith("__")
    }
    left = set(homes)
    for title, about, rooms in SECTIONS:
        names = [
            name
            for room in rooms
            for name in sorted(homes, key=lambda name: (homes[name], *order_of(name)))
            if name in left and f"{homes[name]}.".startswith(f"{room}.")
        ]
        left -= set(names)
        if names:
            yield title, about, names
    assert not left, f"add the homes of {sorted(left)} to a section of tests/support/api_page.py"


def order_of(name: str) -> tuple[bool, int]:
    """As names are defined, but of what makes scans the functions before their values."""
    module, node = find_offered("maskstat", name)
    line = 0 if node is None else node.lineno
    return module.startswith("maskstat.api") and isinstance(node, ast.ClassDef), line


def handed_out() -> dict[str, Place]:
    """Classes that the offered ones and their calls give, and that are not offered themselves."""
    found: dict[str, Place] = {}
    waiting = [
        (node, module) for name, node, module in public_nodes() if name.startswith("maskstat.")
    ]
    while waiting:
        node, module = waiting.pop()
        hints = [node.returns] if isinstance(node, ast.FunctionDef) else []
        if isinstance(node, ast.ClassDef):
            hints += [inner.annotation for inner in node.body if isinstance(inner, ast.AnnAssign)]
        text = " ".join(type_text(hint, module) for hint in hints)
        for word in set(re.findall(r"\w+", text)) - {*found, *offered("maskstat"), "Known"}:
            place = find(module, word)
            if place is None:
                continue
            if isinstance(place.node, ast.ClassDef) and place.module.split(".")[1] in VALUE_ROOMS:
                found[word] = place
                waiting.append((place.node, place.module))
                waiting += members(place.node, place.module).values()
    return found


def described(name: str, place: Place, *, prefix: str) -> Iterator[str]:
    """A function, a class with its public members, or what a module says of itself."""
    module, node = place
    yield f"### `{name}`"
    if node is None:
        yield from paragraphs(documented(tree(module)) or "")
    elif isinstance(node, ast.FunctionDef):
        yield fenced(signature(f"{prefix}{name}", node, module, bound=False))
        yield from paragraphs(documented(node) or "")
    elif isinstance(node, ast.ClassDef):
        inner = members(node, module)
        made = inner.pop("__init__", None)
        if made is not None and module.split(".")[1] in {"torch", "keras"}:
            yield fenced(signature(f"{prefix}{name}", *made, bound=True))
        yield from class_blocks(node, module)
        yield from described_members(name, inner)


def class_blocks(node: ast.ClassDef, module: str) -> Iterator[str]:
    """What a class says, and its fields where it does not list them."""
    doc = documented(node) or ""
    yield from paragraphs(doc)
    fields = [
        f"- `{ast.unparse(inner.target)}: {type_text(inner.annotation, module)}`"
        for inner in node.body
        if isinstance(inner, ast.AnnAssign) and not ast.unparse(inner.target).startswith("_")
    ]
    if fields and "Attributes:" not in doc:
        yield "**Attributes:**"
        yield "\n".join(fields)


def described_members(owner: str, inner: dict[str, tuple[Function, str]]) -> Iterator[str]:
    yield from properties(inner)
    for key, (node, module) in inner.items():
        if is_property(node):
            continue
        bound = "staticmethod" not in decorators(node)
        of_class = decorators(node) & {"classmethod", "staticmethod"}
        first = owner if of_class else re.findall("[A-Z][a-z]*|[A-Z]+", owner)[-1].lower()
        yield f"#### `{owner}.{key}`"
        yield fenced(signature(f"{first}.{key}", node, module, bound=bound))
        yield from paragraphs(documented(node) or "")


def properties(inner: dict[str, tuple[Function, str]]) -> Iterator[str]:
    """All properties as one list; nothing where there are none."""
    lines = [property_line(key, *pair) for key, pair in inner.items() if is_property(pair[0])]
    if lines:
        yield "**Properties:**"
        yield "\n".join(lines)


def property_line(name: str, node: Function, module: str) -> str:
    """A property in a list: its type and all it says."""
    said = [block.replace("\n", "\n  ") for block in paragraphs(documented(node) or "")]
    kind = type_text(node.returns, module)
    return f"- `{name}: {kind}`: " + "\n\n  ".join(said)


def fenced(code: str) -> str:
    return f"```py\n{code}\n```"


def error_tree() -> str:
    """The tree of all errors that stands in the docstring of their module."""
    doc = documented(tree("maskstat.errors")) or ""
    lines = [line for line in doc.splitlines() if line.startswith("    ")]
    return textwrap.dedent("\n".join(lines))


# --- what is missing ---------------------------------------------------------------------------


def public_nodes() -> Iterator[tuple[str, ast.FunctionDef | ast.ClassDef, str]]:
    """Every function, class, method and property of the page, with its name and module."""
    for module in ("maskstat", *(module for _, module in FRAMEWORKS)):
        for name in offered(module):
            place = find(module, name)
            if place is None or not isinstance(place.node, (ast.FunctionDef, ast.ClassDef)):
                continue
            yield f"{module}.{name}", place.node, place.module
            if isinstance(place.node, ast.ClassDef):
                for inner, (node, where) in members(place.node, place.module).items():
                    if inner != "__init__":
                        yield f"{module}.{name}.{inner}", node, where


def raised(node: ast.AST) -> set[str]:
    """Errors of maskstat that a function raises by itself."""
    found: set[str] = set()
    for inner in ast.walk(node):
        if isinstance(inner, ast.Raise) and isinstance(inner.exc, ast.Call):
            name = ast.unparse(inner.exc.func)
            if find("maskstat.errors", name) is not None:
                found.add(name)
    return found


def told_parameters(doc: str) -> set[str]:
    """Names in the section Args."""
    section = re.search(r"^Args:\n((?:\s+.*\n?|\n)*)", inspect.cleandoc(doc), re.MULTILINE)
    if section is None:
        return set()
    text = textwrap.dedent(section[1])
    listed: Iterable[str] = re.findall(r"^([*\w][\w*, ]*?): ", text, re.MULTILINE)
    return {name.strip().lstrip("*") for names in listed for name in names.split(",")}


def parameter_names(node: Function) -> set[str]:
    every = node.args
    named = [*every.posonlyargs, *every.args, *every.kwonlyargs, every.vararg, every.kwarg]
    return {one.arg for one in named if one is not None} - {"self", "cls"}
