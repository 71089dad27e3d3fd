"""docs/api.md is what the docstrings say, and these say what they should."""

from __future__ import annotations

import ast
import os
import re
from typing import TypeGuard

import pytest

from tests.support import api_page

NODES = {name: (node, module) for name, node, module in api_page.public_nodes()}
FUNCTIONS = {name: node for name, (node, _) in NODES.items() if isinstance(node, ast.FunctionDef)}


def test_the_page_is_what_the_docstrings_say() -> None:
    made = api_page.page()
    if os.environ.get("MASKSTAT_REWRITE_DOCS"):
        api_page.PAGE.write_text(made, encoding="utf-8")
    current = api_page.PAGE.read_text(encoding="utf-8")
    assert current == made, f"out of date; to make it anew: {api_page.COMMAND}"


def test_there_is_something_to_look_at() -> None:
    assert len(NODES) > 150
    assert {"maskstat.scan", "maskstat.Scan.weights", "maskstat.torch.CrossEntropy"} <= set(NODES)


def test_every_error_stands_in_the_tree() -> None:
    tree = api_page.error_tree()
    kinds = [node.name for node in api_page.tree("maskstat.errors").body if is_error(node)]
    assert len(kinds) > 10
    assert [kind for kind in kinds if not re.search(rf"^ *{kind}\b", tree, re.MULTILINE)] == []


def is_error(node: ast.stmt) -> TypeGuard[ast.ClassDef]:
    return isinstance(node, ast.ClassDef) and node.name.endswith("Error")


@pytest.mark.parametrize("name", NODES)
def test_every_public_name_is_documented(name: str) -> None:
    assert api_page.documented(NODES[name][0]), name


@pytest.mark.parametrize("name", FUNCTIONS)
def test_errors_and_parameters_are_told(name: str) -> None:
    """What is raised stands in the docstring; Args names all parameters, and only these."""
    node = FUNCTIONS[name]
    doc = api_page.documented(node) or ""
    assert {error for error in api_page.raised(node) if error not in doc} == set()
    if told := api_page.told_parameters(doc):
        assert told == api_page.parameter_names(node)
