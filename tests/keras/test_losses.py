"""The Keras losses on every backend that is installed; the checks are in `keras_loss_checks`."""

from __future__ import annotations

import pytest

from tests.support.interpreters import run_script
from tests.support.keras_backends import checks_of, require
from tests.support.packages import needs

FUNCTIONS, TRAINING = "keras_loss_checks", "keras_training_checks"
BINARY, SCHEDULE = "keras_binary_checks", "keras_schedule_checks"

pytestmark = needs("keras", "needs maskstat[keras]")


@pytest.mark.parametrize(("backend", "name"), checks_of(FUNCTIONS))
def test_losses(backend: str, name: str) -> None:
    require(backend, FUNCTIONS, name)


@pytest.mark.parametrize(("backend", "name"), checks_of(TRAINING))
def test_training(backend: str, name: str) -> None:
    require(backend, TRAINING, name)


@pytest.mark.parametrize(("backend", "name"), checks_of(BINARY))
def test_binary_losses(backend: str, name: str) -> None:
    require(backend, BINARY, name)


@pytest.mark.parametrize(("backend", "name"), checks_of(SCHEDULE))
def test_several_steps(backend: str, name: str) -> None:
    require(backend, SCHEDULE, name)


def test_without_keras_it_says_how_to_get_it() -> None:
    said = run_script(
        "import sys; sys.modules['keras'] = None\n"
        "from maskstat.errors import MissingExtraError\n"
        "try:\n"
        "    import maskstat.keras\n"
        "except MissingExtraError as error:\n"
        "    print(error)\n"
    )
    assert 'pip install "maskstat[keras]"' in said


def test_without_a_backend_it_says_which_can_be_had() -> None:
    said = run_script(
        "import sys; sys.modules['tensorflow'] = None\n"
        "from maskstat.errors import MissingExtraError\n"
        "try:\n"
        "    import maskstat.keras\n"
        "except MissingExtraError as error:\n"
        "    print(error)\n",
        KERAS_BACKEND="tensorflow",
    )
    assert "backend" in said and "KERAS_BACKEND=torch" in said
