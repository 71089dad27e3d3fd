"""Recipes by name: those that ship, and loaders that no recipe describes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from maskstat.errors import ParameterError
from maskstat.exposure.named import load_recipe
from maskstat.exposure.recipe import Recipe
from maskstat.exposure.recipes import recipe_names as names


def test_a_recipe_that_ships_is_its_name_and_reads_itself_back() -> None:
    assert names() == ["deeplab", "mmseg-ade20k", "mmseg-cityscapes", "torchvision-reference"]
    for name in names():
        recipe = load_recipe(name)
        assert recipe.name == name
        assert type(recipe).of(recipe.to_dict()) == recipe


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("nnUNet", "centres a third of each batch"),
        ("nnunetv2", "centres a third of each batch"),
        ("MONAI", "RandCropByPosNegLabel"),
        ("RandCropByLabelClassesd", "pixels of chosen classes"),
        ("CropNonEmptyMaskIfExists", "not 0"),
        ("random_resized_crop", "proportions of the window"),
        ("DAFormer", "ten times"),
    ],
)
def test_loaders_that_no_recipe_describes_are_refused_with_the_reason(name: str, part: str) -> None:
    with pytest.raises(ParameterError, match=part) as caught:
        load_recipe(name)
    assert "no recipe says that" in caught.value.problem
    assert caught.value.remedy


@pytest.mark.parametrize("name", ["nnunet", "RandCropByLabelClasses", "DAFormer"])
def test_what_is_near_it_is_a_recipe(name: str) -> None:
    with pytest.raises(ParameterError) as caught:
        load_recipe(name)
    said = re.search(r"draws of (\{.*\}) in a file", str(caught.value.remedy))
    assert said is not None
    text = said.group(1).replace("its ratios", "1, 2, 1")
    recipe = Recipe.of({"crop": 96, "draws": yaml.safe_load(text)})
    assert recipe.draws is not None
    assert Recipe.of(recipe.to_dict()) == recipe


def test_a_file_of_such_a_name_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("monai").write_text("crop: 96\n", encoding="utf-8")
    assert load_recipe("monai").crop == (96, 96)
