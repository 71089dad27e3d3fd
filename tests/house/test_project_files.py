"""Files for those who join or build on the project: they fit their schemas, and do what they say.

What the GitHub Action and the pre-commit hooks run is run here, by the shell that runs it there.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from tests.support.loops import at_least_one
from tests.support.paths import ROOT

SCHEMAS = {
    "vendor.github-workflows": ".github/workflows/*.yml",
    "vendor.github-actions": "action.yml",
    "vendor.github-issue-forms": ".github/ISSUE_TEMPLATE/[!c]*.yml",
    "vendor.github-issue-config": ".github/ISSUE_TEMPLATE/config.yml",
    "vendor.dependabot": ".github/dependabot.yml",
    "vendor.citation-file-format": "CITATION.cff",
}
CLASSES = str(ROOT / "sample_masks" / "classes.yaml")
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell runs these")


def document(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("schema", SCHEMAS)
def test_schema(schema: str) -> None:
    pytest.importorskip("check_jsonschema")
    files = at_least_one(ROOT.glob(SCHEMAS[schema]))
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema]
    done = subprocess.run([*command, *map(str, files)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_workflow_runs_parts_of_ci_on_all_pythons() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    (told,) = re.findall(r"#     bash \.ci/run (.+)", script)
    (default,) = re.findall(r"set -- (.+)", script)
    parts = set(default.split())
    assert (
        parts
        == set(re.findall(r"\[(\w+)\]", told))
        == set(re.findall(r"^# (\w+) {2,}", script, re.M))
    )
    jobs = document(".github/workflows/ci.yml")["jobs"]
    matrix = jobs["tests"]["strategy"]["matrix"]
    assert {*matrix["part"], *jobs["others"]["strategy"]["matrix"]["part"]} == parts
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'requires-python = ">={matrix["python"][0]}"' in project
    for job in at_least_one(jobs.values()):
        assert job["timeout-minutes"] <= 90
        for step in job["steps"]:
            assert re.fullmatch(r"\./|[\w/-]+@[0-9a-f]{40}", step.get("uses", "./")), step


# --- the action ----------------------------------------------------------------------------------


def act(folder: Path, **inputs: str) -> tuple[int, str]:
    """The last step of the action with these inputs, as GitHub runs a step of bash."""
    action = document("action.yml")
    step = action["runs"]["steps"][-1]
    given = {name: each.get("default", "") for name, each in action["inputs"].items()}
    unknown = {name.replace("_", "-") for name in inputs} - set(given)
    assert not unknown
    given |= {name.replace("_", "-"): value for name, value in inputs.items()}
    set_by = {
        variable: re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda found: given[found[1]], text)
        for variable, text in step["env"].items()
    }
    return run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]], folder, set_by
    )


def run(command: list[str], folder: Path, set_by: dict[str, str]) -> tuple[int, str]:
    scripts = str(Path(sys.executable).parent)
    done = subprocess.run(
        command,
        cwd=folder,
        env={
            **os.environ,
            "PATH": scripts + os.pathsep + os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            **set_by,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "sample_masks", tmp_path / "data")
    return tmp_path


@POSIX
def test_the_action_passes_and_fails(masks: Path) -> None:
    train = {"masks": "data/street", "classes": CLASSES, "name": "train"}
    val = {"masks": "data/park", "classes": CLASSES, "name": "val", "against": "train"}
    assert act(masks, **train)[0] == 0
    code, said = act(masks, **val, fail_above="leakage=0 js=0.5")
    assert (code, "js" in said) == (0, True)
    code, said = act(masks, **val, fail_above="leakage=0 js=0.2")
    assert (code, "js of train : val is 0." in said) == (1, True)
    code, said = act(masks, **train, scan_options="--exclude\nmask_1*\n--rescan")
    assert (code, "mask_1" in said) == (0, False)
    shutil.copy(masks / "data/street/mask_1.png", masks / "data/park/a copy.png")
    code, said = act(masks, **train)
    code, said = act(masks, **val, fail_on="leakage")
    assert (code, "found leakage (1 mask)" in said) == (1, True)
    (masks / "data/street/torn.png").write_bytes(b"\x89PNG")
    code, said = act(masks, **train)
    assert (code, "found unreadable (1 mask)" in said) == (1, True)
    assert act(masks, **train, fail_on="")[0] == 0
    assert act(masks, masks="nowhere")[0] == 1
    assert act(masks, masks="data/$(touch hacked)`touch hacked`")[0] == 1
    assert not (masks / "hacked").exists()


def test_the_tutorial_uses_inputs_and_hooks_that_there_are() -> None:
    page = (ROOT / "docs" / "tutorial-pytorch.md").read_text(encoding="utf-8")
    steps, hooks = map(yaml.safe_load, re.findall(r"```yaml\n(.*?)```", page, re.DOTALL))
    inputs = document("action.yml")["inputs"]
    for step in at_least_one(steps):
        assert step["with"].keys() <= inputs.keys()
        assert "masks" in step["with"]
    known = {hook["id"] for hook in document(".pre-commit-hooks.yaml")}
    for repository in at_least_one(hooks["repos"]):
        assert {hook["id"] for hook in at_least_one(repository["hooks"])} <= known


# --- the hooks -----------------------------------------------------------------------------------


def hook(folder: Path, name: str, *arguments: str) -> tuple[int, str]:
    """What pre-commit runs: the words of `entry`, and then `args`."""
    (found,) = [each for each in document(".pre-commit-hooks.yaml") if each["id"] == name]
    return run([*shlex.split(found["entry"]), *arguments], folder, {})


@POSIX
def test_the_hooks_pass_and_fail(masks: Path) -> None:
    subprocess.run(["git", "init", "--quiet"], cwd=masks, check=True)
    train = ("maskstat-check", "train", "data/street", "--classes", CLASSES)
    val = ("maskstat-check", "val", "data/park", "--classes", CLASSES)
    both = ("maskstat-compare", "train", "val", "--fail-above", "leakage=0")
    for passes in (train, val, both):
        code, said = hook(masks, *passes)
        assert code == 0, said
    assert (masks / ".git" / "maskstat.db").exists()
    assert not (masks / "maskstat.db").exists()
    Image.new("L", (9, 9), 77).save(masks / "data/street/new.png")
    code, said = hook(masks, *train)
    assert (code, "found unlisted (1 value)" in said) == (1, True)
    shutil.copy(masks / "data/street/mask_1.png", masks / "data/park/copy.png")
    assert hook(masks, *val)[0] == 0
    code, said = hook(masks, *both)
    assert (code, "leakage of train : val is 1" in said) == (1, True)
    code, said = hook(masks, "maskstat-check", "train", "nowhere")
    assert (code, "nowhere" in said) == (1, True)
