"""Who may read: a password by its bcrypt hash, or a token. Both are compared in constant time.

A bcrypt hash is made to be slow to check. So one thread checks passwords, one after another; a password that was right
is known again without it; and one that was wrong has the next one wait, which leaves guessing hopeless and cheap.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import bcrypt

MOST_WAITING = 16  # passwords that wait to be checked; who comes then is asked to come again
PAUSE = 0.1  # seconds after a wrong password
LONGEST_PASSWORD = 72  # bytes: bcrypt has never looked at more


class Busy(Exception):
    """Too many passwords wait to be checked."""


class Credentials:
    """The users (names and bcrypt hashes) and the token that are accepted. With neither everyone is."""

    def __init__(self, users: Mapping[str, str], token: str | None) -> None:
        self._users = {name: hashed.encode() for name, hashed in users.items()}
        self._token = token.encode() if token is not None else None
        self._key = secrets.token_bytes(32)
        self._known: dict[str, bytes] = {}  # by user: the password that was right last, as `_mark` has it
        # Who has no account waits as long as who has one: how long it takes tells nobody which names there are.
        self._nobody = max(self._users.values(), key=_cost, default=b"")
        self._checker = ThreadPoolExecutor(1, thread_name_prefix="watchd-passwords")
        self._waiting = 0

    @property
    def required(self) -> bool:
        """Whether not everyone is accepted."""
        return bool(self._users) or self._token is not None

    @property
    def challenges(self) -> list[str]:
        """What a client may answer to: values of `WWW-Authenticate`."""
        basic = ['Basic realm="watchd", charset="UTF-8"'] if self._users else []
        return [*basic, *(['Bearer realm="watchd"'] if self._token is not None else [])]

    async def accept(self, authorization: str) -> bool:
        """Whether a request with this `Authorization` (latin-1, as it came) may be answered. Raise `Busy`."""
        scheme, _, value = authorization.partition(" ")
        match scheme.lower():
            case "bearer" if self._token is not None:
                return hmac.compare_digest(value.strip().encode("latin-1"), self._token)
            case "basic" if self._users:
                try:
                    name, colon, password = base64.b64decode(value.strip(), validate=True).partition(b":")
                except (binascii.Error, ValueError):
                    return False
                return bool(colon) and await self._is_right(name.decode(errors="replace"), password)
        return False

    def close(self) -> None:
        """Check no further passwords."""
        self._checker.shutdown(wait=False, cancel_futures=True)

    async def _is_right(self, name: str, password: bytes) -> bool:
        mark = self._mark(password)
        if hmac.compare_digest(self._known.get(name, b""), mark):
            return True
        if self._waiting >= MOST_WAITING:
            raise Busy
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            right = await loop.run_in_executor(self._checker, _check, password, self._users.get(name, self._nobody))
        finally:
            self._waiting -= 1
        if right and name in self._users:
            self._known[name] = mark
            return True
        return False

    def _mark(self, password: bytes) -> bytes:
        """Return what a password is known again by. It tells nothing of it to who does not have the key."""
        return hashlib.blake2b(password, key=self._key).digest()


def _check(password: bytes, hashed: bytes) -> bool:
    try:
        right = bcrypt.checkpw(password[:LONGEST_PASSWORD], hashed)
    except ValueError:  # a password that bcrypt cannot have hashed
        right = False
    if not right:
        time.sleep(PAUSE)
    return right


def _cost(hashed: bytes) -> bytes:
    return hashed[4:6]
