"""URLs without what nobody else should read: passwords and tokens."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>]+")
_USER = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)@(?=[^@/?#]*(?:[/?#]|$))")
_SECRET = re.compile(
    r"sig|token|credential|secret|passw|pwd|auth|api_?key|access_?key|^key$|^x-(?:amz|goog)-",
    re.IGNORECASE,
)
# Elsewhere what stands before the "@" is part of the place: abfs://container@account/...
_USER_ALONE_IS_SECRET = frozenset({"http", "https", "s3", "s3a", "gs", "gcs", "hf"})


class Address(NamedTuple):
    """A URL, and the user and password that stood in it."""

    url: str
    user: str | None
    password: str | None

    @property
    def login(self) -> tuple[str, str | None, str | None]:
        """What one connection serves: a scheme, a user and a password."""
        return self.scheme, self.user, self.password

    @property
    def scheme(self) -> str:
        """What is before "://", in lower case."""
        return self.url.partition("://")[0].lower()


def parse_address(url: str) -> Address:
    """Take user and password out of a URL."""
    found = _USER.match(url)
    if found is None:
        return Address(url, None, None)
    scheme, userinfo = found.groups()
    user, colon, password = userinfo.partition(":")
    if not colon and scheme.lower() not in _USER_ALONE_IS_SECRET:
        return Address(url, None, None)
    return Address(f"{scheme}://{url[found.end() :]}", unquote(user), unquote(password))


def without_secrets(url: str) -> str:
    """The URL without user, password and those parts of its query that sign or authorise."""
    plain = parse_address(url).url
    before, mark, query = plain.partition("?")
    if not mark:
        return plain
    query, sign, fragment = query.partition("#")
    kept = [part for part in query.split("&") if not _SECRET.search(part.partition("=")[0])]
    return before + (f"?{'&'.join(kept)}" if kept else "") + sign + fragment


def scrubbed(text: str) -> str:
    """A message of some library without the secrets of URLs in it."""
    return _URL.sub(lambda found: without_secrets(found[0]), text)
