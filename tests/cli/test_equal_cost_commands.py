"""`maskstat weights --for ...` and `maskstat costs` as a user meets them."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from maskstat import cli, load_weights
from tests.support.paths import ROOT


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Any:
    """Run a command line in a folder with a scan of masks in which "bicycle" is rare."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MASKSTAT_DB", raising=False)
    rng = np.random.default_rng(0)
    (tmp_path / "masks").mkdir()
    for number in range(60):
        pixels = rng.choice([0, 0, 0, 1], (12, 16)).astype(np.uint8)
        if number < 4:
            pixels[0, :3] = 2
        np.save(tmp_path / "masks" / f"mask_{number}.npy", pixels)
    (tmp_path / "names.txt").write_text("road\ncar\nbicycle\n")

    def call(*arguments: str) -> tuple[int, str, str]:
        code = cli.run(list(arguments))
        return code, *capfd.readouterr()

    assert call("scan", "masks", "--classes", "names.txt")[0] == 0
    return call


def test_infeasible_names_the_class_and_the_batch_size_that_works(run: Any) -> None:
    code, out, err = run("weights", "--for", "torch", "--batch-size", "4", "-o", "w.json")
    assert (code, out) == (1, "")
    assert "bicycle is in 4 of 60 masks; with batch size 4 no weight can make ignoring it" in err
    smallest = int(err.split("with batch size ")[-1].split()[0])
    assert not Path("w.json").exists()
    assert run("weights", "--for", "torch", "--batch-size", str(smallest - 1))[0] == 1
    code, out, err = run("weights", "--for", "torch", "--batch-size", str(smallest))
    assert code == 0, err
    assert "Largest weight ratio" in out
    assert "Tightest: bicycle" in out
    assert "Larger batches relax it" in out


def test_best_effort_prints_the_costs_that_remain(run: Any, tmp_path: Path) -> None:
    code, out, err = run(
        "weights",
        "--for",
        "torch",
        "--batch-size",
        "1",
        "--best-effort",
        "--max-ratio",
        "50",
        "-o",
        "w.json",
    )
    assert code == 0, err
    assert "limited to 50" in out
    assert "cost that remains" in out
    table = load_weights(tmp_path / "w.json")
    assert table.weights.max() / table.weights.min() <= 50 * (1 + 1e-12)
    assert table.reduction == "weight-normalised"
    assert table.parameters == {
        "average": "batch",
        "batch_size": 1,
        "drop_last": False,
        "seed": 0,
        "max_ratio": 50.0,
    }


def test_keras_is_the_default_and_closed(run: Any, tmp_path: Path) -> None:
    assert run("weights", "-o", "a.json")[0] == 0
    code, out, _ = run("weights", "--for", "keras", "--predictor-confidence", "0.9", "-o", "b.json")
    assert code == 0
    assert "at a confidence of 0.9" in out
    first, second = load_weights(tmp_path / "a.json"), load_weights(tmp_path / "b.json")
    assert first.weights.tolist() == second.weights.tolist()
    assert first.reduction == "linear"
    masses = first.pixels * first.weights
    assert masses.tolist() == pytest.approx([masses[0]] * 3, rel=1e-12)


def test_a_scheme_that_nobody_named_says_what_it_is_for(run: Any) -> None:
    """On stderr, in one line, with the numbers of the document it names."""
    assert run("scan", "masks", "--classes", "names.txt", "--name", "two words")[0] == 0
    for options in ([], ["--json"], ["-o", "a.json"], ["--for", "torch", "--batch-size", "60"]):
        code, _, err = run("weights", "--scan", "two words", *options)
        (line,) = [text for text in err.splitlines() if text.startswith("no --scheme: ")]
        assert code == 0 and line.count("'maskstat recommend --scan 'two words''") == 1
    page = (ROOT / "docs" / "evidence.md").read_text(encoding="utf-8")
    table = page.partition("<!-- differences evidence.csv -->")[2].partition("<!-- end")[0]
    gains = re.findall(r"(?m)^\| (?:sqrt|equal-cost, Keras form) \| (\+\d\.\d) ±", table)
    assert gains == re.findall(r"\+\d\.\d", line)
    for options in (["--scheme", "equal-cost"], ["--compare"], ["--best-effort"]):
        assert "no --scheme" not in run("weights", *options)[2]
    code, _, err = run("weights", "--counts", "90,7,1", "--unit", "counts")
    assert code == 0 and "no --scheme: equal-cost" in err and "recommend" not in err


def test_the_whole_data_set_in_a_batch_is_the_linear_answer(run: Any, tmp_path: Path) -> None:
    assert run("weights", "-o", "linear.json")[0] == 0
    assert run("weights", "--for", "torch", "--batch-size", "60", "-o", "torch.json")[0] == 0
    linear = load_weights(tmp_path / "linear.json").weights
    torch = load_weights(tmp_path / "torch.json").weights
    assert torch.tolist() == pytest.approx(linear.tolist(), rel=1e-12)


@pytest.mark.parametrize("suffix", [".csv", ".txt", ".json", ".npy"])
def test_cost_matrix(run: Any, tmp_path: Path, suffix: str) -> None:
    matrix = np.array([[0.0, 1, 2], [1, 0, 1], [2, 1, 0]])
    path = tmp_path / f"costs{suffix}"
    if suffix == ".npy":
        np.save(path, matrix)
    elif suffix == ".json":
        path.write_text(json.dumps(matrix.tolist()))
    else:
        np.savetxt(path, matrix, delimiter="," if suffix == ".csv" else " ")
    code, _, err = run("weights", "--cost-matrix", str(path), "--absent", "one")
    # The middle class would need no weight at all: 2 (n w)_0 = 2 (n w)_2 = x leaves nothing.
    assert code == 1
    assert "car" in err
    np.savetxt(tmp_path / "good.csv", np.array([[0.0, 1, 1.5], [1, 0, 1], [1.5, 1, 0]]))
    code, out, err = run("weights", "--cost-matrix", "good.csv", "--json")
    assert code == 0, err
    document = json.loads(out)
    masses = np.array(document["weights"]) * np.array(document["pixels"])
    costs = np.array([[0.0, 1, 1.5], [1, 0, 1], [1.5, 1, 0]]) @ masses
    assert costs.tolist() == pytest.approx([costs[0]] * 3, rel=1e-9)


def test_costs_under_equal_cost_are_equal(run: Any) -> None:
    code, out, err = run("costs", "--json")
    assert code == 0, err
    document = json.loads(out)
    costs = [row["cost"] for row in document["classes"]]
    assert costs == pytest.approx([costs[0]] * 3, rel=1e-12)
    assert document["weighted"]["relative_spread"] <= 1e-9
    assert document["unweighted"]["relative_spread"] > 0.1
    assert document["weighted"]["best_constant_loss"] == pytest.approx(math.log(3))
    assert sum(row["pixel_accuracy"] for row in document["classes"]) == pytest.approx(1)
    assert "all answers cost the same" in run("costs")[1]
    assert "more than the cheapest" in run("costs", "--scheme", "sqrt")[1]


def test_costs_of_a_file_do_not_depend_on_its_scale(run: Any, tmp_path: Path) -> None:
    printed = []
    for how in ("none", "sum", "max"):
        assert run("weights", "--scheme", "enet", "--normalize", how, "-o", f"{how}.json")[0] == 0
        code, out, err = run("costs", "--weights", f"{how}.json", "--json")
        assert code == 0, err
        printed.append([row["cost"] for row in json.loads(out)["classes"]])
    assert printed[1] == pytest.approx(printed[0], rel=1e-12)
    assert printed[2] == pytest.approx(printed[0], rel=1e-12)
    code, out, _ = run("costs", "--scheme", "enet", "--json")
    assert [row["cost"] for row in json.loads(out)["classes"]] == pytest.approx(printed[0])


def test_costs_draws(run: Any, tmp_path: Path) -> None:
    code, _, err = run("costs", "-o", "costs.png")
    assert code == 0, err
    assert "wrote costs.png" in err
    assert (tmp_path / "costs.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["weights", "--for", "jax"], 2, "pixel, batch (or keras, torch)"),
        (["weights", "--for", "torch"], 2, "--batch-size"),
        (["weights", "--for", "torch", "--batch-size", "0"], 2, "--batch-size"),
        (["weights", "--best-effort"], 2, "exact answer"),
        (["weights", "--max-ratio", "3"], 2, "--best-effort"),
        (["weights", "--scheme", "sqrt", "--for", "torch"], 2, "equal-cost"),
        (["weights", "--param", "beta=1"], 2, "no parameter"),
        (["weights", "--cost-matrix", "absent.csv"], 1, "can't be read"),
        (["weights", "--cost-matrix", "names.txt"], 1, "not a table of numbers"),
        (["weights", "--cost-matrix", "m.xlsx"], 1, "suffix"),
        (["weights", "--predictor-confidence", "1"], 2, "probability"),
        (["costs", "--for", "torch"], 2, "--batch-size"),
        (["costs", "--weights", "absent.json"], 1, "can't be read"),
        (["costs", "--weights", "a.json", "--scheme", "sqrt"], 2, "one of"),
        (["costs", "--scheme", "nonsense"], 2, "no scheme"),
        (["costs", "--predictor-confidence", "0.2"], 2, "prefer"),
        (["costs", "-o", "costs.xlsx"], 2, ".png"),
    ],
)
def test_errors_are_one_line(run: Any, arguments: list[str], code: int, words: str) -> None:
    got, out, err = run(*arguments)
    assert got == code
    assert words in err
    assert err.count("\n") == 1
    assert out == ""


def test_weights_of_other_classes_are_refused(run: Any) -> None:
    assert run("weights", "--classes", "5", "-o", "five.json")[0] == 0
    code, _, err = run("costs", "--weights", "five.json")
    assert code == 1
    assert "5 weights" in err
    assert "3 classes" in err
