"""What numbers that somebody gives can be: a module of words, which costs nothing to import."""

from __future__ import annotations

from typing import Literal, get_args

Given = Literal["counts", "shares", "percent"]
GIVEN: tuple[Given, ...] = get_args(Given)
