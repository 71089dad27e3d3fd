"""Code to paste: valid, with the weights or the file in it, in the words of the documents."""

from __future__ import annotations

import ast
import types
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import maskstat
from maskstat.advice.snippets import SNIPPETS, ignored_label, snippet, weights_in_code
from maskstat.errors import MultilabelError, ParameterError
from tests.support.loops import at_least_one
from tests.support.report_cases import HOSTILE_NAMES
from tests.support.training_page import PAGE

WEIGHTS = [0.0, 1e-9, 1 / 3, 12345.678901, 1.0, 2.5, 1e6, 0.1, 7.0, 3.25]
SECTIONS = {
    "torch": "PyTorch",
    "keras": "Keras",
    "mmseg": "MMSegmentation",
    "hf": "transformers",
    "lightning": "PyTorch Lightning",
}
OWN = {"# the model gives logits, without a softmax at its end", "ignore_index=255,"}
EVERY = pytest.mark.parametrize("framework", SNIPPETS)
PLAIN = maskstat.from_counts([900, 90, 10]).weights("sqrt")
TWO = maskstat.from_counts([980_000, 20_000]).weights("sqrt")


def numbers_in(code: str) -> list[float]:
    """The only list of as many numbers in a Python source."""
    lists = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.List)]
    (values,) = [node for node in lists if len(node.elts) == len(WEIGHTS)]
    found: list[float] = ast.literal_eval(values)
    return found


@EVERY
@pytest.mark.parametrize("ignore_index", [None, 255])
def test_weights_in_code(framework: str, ignore_index: int | None) -> None:
    """The code is valid and its numbers are the weights, whatever the classes are called."""
    text = weights_in_code(framework, HOSTILE_NAMES, WEIGHTS, ignore_index)
    assert numbers_in(text) == pytest.approx(WEIGHTS, rel=1e-5)
    assert text.isascii() or "日本語" in text
    if framework != "mmseg" or ignore_index is None:
        written = f"ignore_index={ignore_index})"
        assert (written in text) is (ignore_index is not None)
    else:
        assert "        ignore_index=255,\n" in text


@EVERY
def test_every_line_is_of_the_documents(framework: str) -> None:
    """So that what is pasted is what the documents' tests run, and one wording is kept."""
    (section,) = [
        text for text in PAGE.split("\n## ") if text.startswith(f"{SECTIONS[framework]}\n")
    ]
    code = snippet(framework, PLAIN, "weights.json", ignore_index=255)
    lines = at_least_one(line.strip() for line in code.splitlines())
    assert [line for line in lines if line not in section and line not in OWN] == []


@EVERY
@given(path=st.text(min_size=1, max_size=30))
def test_any_path_is_a_text_of_the_code(framework: str, path: str) -> None:
    code = snippet(framework, PLAIN, path)
    constants = [node.value for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Constant)]
    assert path in constants
    assert code.replace("\n", "").isprintable()


@EVERY
def test_without_weights_no_file_is_read(framework: str) -> None:
    code = snippet(framework, None, "weights.json", ignore_index=7)
    ast.parse(code)
    assert "weights.json" not in code and "=7" in code
    assert "=7" not in snippet(framework, None, "weights.json")


@pytest.mark.parametrize("framework", ["torch", "keras", "lightning"])
def test_two_classes_may_have_one_logit(framework: str) -> None:
    """A comment has the loss of a model with one logit a pixel, whose mean is the plain one."""
    said = '# of a model with one logit a pixel: BinaryCrossEntropy("w.json", ignore_index=255)'
    assert said in snippet(framework, TWO, "w.json", ignore_index=255)
    assert "one logit" not in snippet(framework, PLAIN, "w.json")


def test_what_there_is_no_code_for() -> None:
    with pytest.raises(ParameterError, match=r"jax.*keras"):
        snippet("jax", PLAIN, "weights.json")
    stacks = np.arange(60, dtype=np.uint8).reshape(1, 5, 4, 3) % 7 == 0
    labels = maskstat.count(stacks, channels="multilabel", classes=["a", "b", "c"]).weights()
    with pytest.raises(MultilabelError, match="one class a pixel"):
        snippet("mmseg", labels, "weights.json")
    assert "BinaryCrossEntropy" in snippet("torch", labels, "weights.json")


@pytest.mark.parametrize(
    ("ignored", "found", "label"),
    [
        ((), {}, None),
        ((), {255: 4}, 255),
        ((255, 7), {}, 255),
        ((7,), {}, 7),
        ((7, 9), {}, None),
        ((1,), {}, None),  # a class's own index: the masks' values are no indices
    ],
)
def test_the_label_to_leave_out(
    ignored: tuple[int, ...], found: dict[int, int], label: int | None
) -> None:
    class Catalogue(tuple[str, ...]):
        ignored_values = ignored

    histogram: Any = types.SimpleNamespace(catalog=Catalogue(("a", "b", "c")), ignored=found)
    assert ignored_label(histogram) == label
