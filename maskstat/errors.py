"""Every exception of maskstat: one base class; each says what is wrong, where, and the remedy.

Low layers raise short facts ("wrong CRC in chunk IDAT"); the layer that knows the file or the
option adds the context once. The command line prints `str(error)` and exits with `exit_code`.
"""

from __future__ import annotations


class MaskstatError(Exception):
    """Base of all errors a user can cause or meet.

    `problem` is a short fact, `where` names the file, option or class it is about, and `remedy`
    says what to do, ideally as a command to type.
    """

    exit_code = 1

    def __init__(self, problem: str, *, where: str | None = None, remedy: str | None = None):
        super().__init__(problem)
        self.problem = problem
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        text = f"{self.where}: {self.problem}" if self.where else self.problem
        return f"{text}; {self.remedy}" if self.remedy else text

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.problem, self.where, self.remedy, self.__dict__))


def _rebuild(
    kind: type[MaskstatError],
    problem: str,
    where: str | None,
    remedy: str | None,
    state: dict[str, object],
) -> MaskstatError:
    """Unpickle an error (they travel between processes), keeping what subclasses added."""
    error = kind.__new__(kind)
    MaskstatError.__init__(error, problem, where=where, remedy=remedy)
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


class ParameterError(MaskstatError):
    """An option or parameter has no meaning here."""

    exit_code = 2


class ProfileError(MaskstatError):
    """The scan has no pixel profile, or masks that are needed were left out of it."""


class FileFormatError(MaskstatError):
    """A file that maskstat should load or write is not in a form it knows."""


class MissingExtraError(MaskstatError):
    """An optional package is needed; the remedy is the exact install command."""
