"""Every exception of maskstat: one base class; each says what is wrong, where, and the remedy.

    MaskstatError
      MaskError                 one mask can't be read or is refused
      CatalogError              a class catalogue is malformed or contradicts itself
      SourceError               there are no masks where they should be
      StoreError                the store of scans can't be used, or lacks the scan asked for
      StrictError               the first unreadable mask of a scan that stops there
      ClusterError              a cluster can't be reached, does not fit, or went away
      WeightError               weights can't be computed from these counts
        UnlistedValuesError     values that are neither classes nor ignored
        IncompleteScanError     the scan was interrupted, or is still going on
        AbsentClassError        declared classes never occur
        UnknownCountsError      given counts know nothing of masks
        InfeasibleEqualCost     no weights make all costs equal at this batch size
      CountOverflowError        also an OverflowError: counts add up to more than 64 bits hold
      ProfileError              the pixel profile is not there, or not of all masks
      ExposureError             what training sees of these masks was not worked out
      MultilabelError           what is asked for is of classes, and the masks have labels
      FileFormatError           a file is not in a form that maskstat knows
      ParameterError            also a ValueError: a parameter is unknown or has a wrong value
      MissingExtraError         also an ImportError: an optional package is not installed
      PluginError               what another package brings can't be used

Low layers raise short facts ("wrong CRC in chunk IDAT"); the layer that knows the file or the
parameter adds the context once. A text names a parameter by `argument` and a call by `call`, and
`str` writes them as Python users type them; the command line writes options and commands instead
(`speaking`), and exits with `exit_code`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

from maskstat.showing import cut

# Around a parameter or a call in a text: what no name holds that went through `naming.printable`.
_BEGIN, _END = "\x01", "\x02"
_MARKED = re.compile(f"{_BEGIN}([^{_BEGIN}{_END}]*){_END}")


class Blank(str):
    """A value that the reader of a text fills in: FILE, K. It is never quoted."""

    __slots__ = ()


def argument(parameter: str, value: object = None) -> str:
    """A parameter for a text, with a value to give it or without.

    Who shows the text decides how parameters are written: `batch_size=8` for Python,
    `--batch-size 8` on the command line (`spelled`).
    """
    return _marked([parameter] if value is None else [parameter, _plain(value)])


def call(function: str, *positional: object, **named: object) -> str:
    """A call for a text: `scan('masks', profile=True)`, `maskstat scan masks --profile`."""
    return _marked([function, _plain(list(positional)), _plain(named)])


def unreadable(error: Exception) -> str:
    """What to say of a file that the system does not give, in its words."""
    return f"can't be read: {getattr(error, 'strerror', None) or error}"


def _marked(content: list[object]) -> str:
    return f"{_BEGIN}{json.dumps(content)}{_END}"


def _plain(value: object) -> object:
    """The value as JSON has it: a blank is {"": its text}, a tuple {"()": its items}."""
    if isinstance(value, Blank):
        return {"": str(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, tuple):
        return {"()": _plain(list(value))}
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def _meant(value: object) -> object:
    """What `_plain` was given."""
    if isinstance(value, dict):
        if set(value) == {""}:
            return Blank(value[""])
        if set(value) == {"()"}:
            return tuple(map(_meant, value["()"]))
        return {key: _meant(inner) for key, inner in value.items()}
    return [_meant(inner) for inner in value] if isinstance(value, list) else value


class Spelling(Protocol):
    """How parameters and calls are written for somebody."""

    def argument(self, parameter: str, value: object, /) -> str:
        """A parameter; `value` is None where none is named."""

    def call(
        self, function: str, positional: Sequence[object], named: Mapping[str, object], /
    ) -> str:
        """A call of a function or method of maskstat."""


class InPython:
    """As Python users type them."""

    def argument(self, parameter: str, value: object, /) -> str:
        """`batch_size=8`, or `batch_size`; `parameters['beta']` for one that has no value."""
        if isinstance(value, Mapping):
            return ", ".join(
                f"{parameter}[{key!r}]" + ("" if inner is None else f" = {self._shown(inner)}")
                for key, inner in value.items()
            )
        return parameter if value is None else f"{parameter}={self._shown(value)}"

    def call(
        self, function: str, positional: Sequence[object], named: Mapping[str, object], /
    ) -> str:
        """`scan('masks', profile=True)`; of a method of `Scan` that names its scan, also that one.

        `scan` and `db` say whose method it is, `seen` what recipe it is read under, and `out` where
        what it returns is saved.
        """
        named = dict(named)
        saved = named.pop("out", None) if function.startswith("Scan.") else None
        if function.startswith("Scan.") and "scan" in named:
            store = self._shown(named.pop("db", "maskstat.db"))
            opened = f"open_scan({store}, {self._shown(named.pop('scan'))})"
            if seen := named.pop("seen", None):
                opened += f".{self.call('exposure', (), dict(seen))}"  # type: ignore[call-overload]
            function = opened + function.removeprefix("Scan")
        given = [*map(self._shown, positional)]
        given += [f"{key}={self._shown(value)}" for key, value in named.items()]
        text = f"{function}({', '.join(given)})"
        return text if saved is None else f"{text}.save({self._shown(saved)})"

    def _shown(self, value: object) -> str:
        if isinstance(value, list):
            return f"[{', '.join(map(self._shown, value))}]"
        if isinstance(value, tuple):
            return f"({', '.join(map(self._shown, value))})"
        if isinstance(value, Mapping):
            inner = (f"{key!r}: {self._shown(one)}" for key, one in value.items())
            return f"{{{', '.join(inner)}}}"
        return str(value) if isinstance(value, Blank) else repr(value)


_spelling: ContextVar[Spelling] = ContextVar("_spelling", default=InPython())  # noqa: B039


@contextmanager
def speaking(spelling: Spelling) -> Iterator[None]:
    """Within, texts are for somebody who writes parameters and calls like this."""
    token = _spelling.set(spelling)
    try:
        yield
    finally:
        _spelling.reset(token)


def spelled(text: str) -> str:
    """The text with its parameters and calls written for whoever reads it."""
    return _MARKED.sub(_written, text) if _BEGIN in text else text


def _written(found: re.Match[str]) -> str:
    try:
        name, *rest = json.loads(found[1])
    except ValueError:  # the characters of somebody's text
        return found[0]
    if len(rest) == 2:
        return _spelling.get().call(name, _meant(rest[0]), _meant(rest[1]))  # type: ignore[arg-type]
    return _spelling.get().argument(name, _meant(rest[0]) if rest else None)


class MaskstatError(Exception):
    """Base of all errors a user can cause or meet.

    `problem` is a short fact, `where` names the file or class it is about, `parameter` the
    parameter by its Python name, and `remedy` says what to do. `problem` and `remedy` may hold
    parameters and calls as `argument` and `call` write them; `str` spells them.
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

    @property
    def text(self) -> str:
        """All that it says, parameters and calls not yet spelled: to be kept, and shown later."""
        about = self.where if self.parameter is None else argument(self.parameter)
        if self.parameter is not None and self.where is not None:
            about = f"{about} {self.where}"
        text = f"{about}: {self.problem}" if about else self.problem
        return f"{text}; {self.remedy}" if self.remedy else text

    def __str__(self) -> str:
        return spelled(self.text)

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


class IncompleteScanError(WeightError):
    """The scan did not come to its end, so its counts are those of some masks."""


class AbsentClassError(WeightError):
    """Declared classes never occur and no policy says which weight they get."""


class UnknownCountsError(WeightError):
    """What is asked for needs what nobody knows: given counts are of pixels, masks may be, too."""


class ParameterError(MaskstatError, ValueError):
    """A parameter is unknown, or its value has no meaning here. A ValueError, too."""

    exit_code = 2


class CountOverflowError(MaskstatError, OverflowError):
    """Counts add up to 2^63 or more, which no count here can hold. An OverflowError, too."""


class ProfileError(MaskstatError):
    """The scan has no pixel profile, or masks that are needed were left out of it."""


class ExposureError(MaskstatError):
    """What a recipe makes of a scan's masks was not worked out yet, or not of all of them."""


class MultilabelError(MaskstatError):
    """What is asked for is of classes, one a pixel, and the masks hold labels."""


class FileFormatError(MaskstatError):
    """A file that maskstat should load or write is not in a form it knows."""


class MissingExtraError(MaskstatError, ImportError):
    """An optional package is needed; the remedy is the exact install command. An ImportError."""


class PluginError(MaskstatError):
    """What another package brings by entry point can't be used; the rest works without it."""
