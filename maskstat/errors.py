"""Every exception of maskstat: one base class; each says what is wrong, where, and the remedy.

Low layers raise short facts ("wrong CRC in chunk IDAT"); the layer that knows the file or the
option adds the context once. The command line prints `str(error)` and exits with `exit_code`.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from maskstat.showing import cut

# Around a parameter in a text: what no name holds that went through `naming.printable`.
_PARAMETER = re.compile("\x01([^\x01\x02=]+)(?:=([^\x01\x02]*))?\x02")


def argument(parameter: str, value: object = None) -> str:
    """A parameter for the text of an error, with a value to give it or without.

    Who shows the error decides how parameters are written: `batch_size=8` for Python,
    `--batch-size 8` on the command line (`MaskstatError.said`).
    """
    return f"\x01{parameter}\x02" if value is None else f"\x01{parameter}={value}\x02"


def in_python(parameter: str, value: str | None) -> str:
    """How a Python user writes a parameter."""
    return parameter if value is None else f"{parameter}={value}"


class MaskstatError(Exception):
    """Base of all errors a user can cause or meet.

    `problem` is a short fact, `where` names the file or class it is about, `parameter` the
    parameter by its Python name, and `remedy` says what to do. `problem` and `remedy` may hold
    parameters as `argument` writes them; `str` shows them as Python users type them.
    """

    exit_code = 1

    def __init__(
        self,
        problem: str,
        *,
        where: str | None = None,
        remedy: str | None = None,
        parameter: str | None = None,
    ):
        super().__init__(problem)
        self.problem = problem
        self.where = where
        self.remedy = remedy
        self.parameter = parameter

    def said(self, spelled: Callable[[str, str | None], str]) -> str:
        """The whole text, parameters written by `spelled(name, value)`."""
        about = self.where if self.parameter is None else argument(self.parameter)
        if self.parameter is not None and self.where is not None:
            about = f"{about} {self.where}"
        text = f"{about}: {self.problem}" if about else self.problem
        text = f"{text}; {self.remedy}" if self.remedy else text
        return _PARAMETER.sub(lambda found: spelled(found[1], found[2]), text)

    def __str__(self) -> str:
        return self.said(in_python)

    def __repr__(self) -> str:
        return f"{type(self).__name__}('{cut(str(self), 90)}')"

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.problem, self.__dict__))


def _rebuild(kind: type[MaskstatError], problem: str, state: dict[str, object]) -> MaskstatError:
    """Unpickle an error (they travel between processes), keeping what subclasses added."""
    error = kind.__new__(kind)
    MaskstatError.__init__(error, problem)
    error.__dict__.update(state)
    return error


class MaskError(MaskstatError):
    """One mask can't be read or is refused. The scan lists it and goes on."""


class CatalogError(MaskstatError):
    """A class catalogue is malformed or contradicts itself."""


class SourceError(MaskstatError):
    """There are no masks where the user said they are."""


class StoreError(MaskstatError):
    """The scan store can't be opened, is not ours, is locked, or lacks the scan asked for."""


class StrictError(MaskstatError):
    """The first unreadable mask of a scan that was asked to stop there."""


class ClusterError(MaskstatError):
    """A cluster can't be reached, does not fit, or went away; what was counted is kept."""


class WeightError(MaskstatError):
    """Weights can't be computed from these counts under these options."""


class UnlistedValuesError(WeightError):
    """The scan holds values that are neither classes nor ignored; the user must decide."""


class AbsentClassError(WeightError):
    """Declared classes never occur and no policy says which weight they get."""


class UnknownCountsError(WeightError):
    """What is asked for needs counts that nobody made: given counts know the pixels of classes."""


class ParameterError(MaskstatError, ValueError):
    """A parameter is unknown, or its value has no meaning here. A ValueError, too."""

    exit_code = 2


class ProfileError(MaskstatError):
    """The scan has no pixel profile, or masks that are needed were left out of it."""


class FileFormatError(MaskstatError):
    """A file that maskstat should load or write is not in a form it knows."""


class MissingExtraError(MaskstatError, ImportError):
    """An optional package is needed; the remedy is the exact install command. An ImportError."""
