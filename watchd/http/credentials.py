"""Logins: passwords with bcrypt hashes, and a bearer token, compared in constant time.

bcrypt is slow on purpose: one thread checks passwords one by one, a password that was right is cached, and a wrong one
delays the next check, so guessing is hopeless and costs little CPU.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping
from concurrent.futures import Executor

MAX_WAITING = 16  # passwords in the queue; further requests are told to retry
WRONG_PASSWORD_DELAY = 0.1  # seconds
MAX_PASSWORD_SIZE = 72  # bytes: bcrypt ignores the rest


class Busy(Exception):
    """The queue of passwords to check is full."""


class Credentials:
    """Accepted users (names and bcrypt hashes) and token. Without both, no login is required."""

    def __init__(self, users: Mapping[str, str], token: str | None) -> None:
        self._users = {name: hashed.encode() for name, hashed in users.items()}
        self._token = token.encode() if token is not None else None
        self._key = secrets.token_bytes(32)
        self._cache: dict[str, bytes] = {}  # by user: digest of the last password that was right
        # Unknown users are checked against this hash, so that the time of an answer does not tell which users exist.
        self._decoy = max(self._users.values(), key=_cost, default=b"")
        self._waiting = 0

    @property
    def required(self) -> bool:
        """Return whether a login is required at all."""
        return bool(self._users) or self._token is not None

    @property
    def challenges(self) -> list[str]:
        """Values of the `WWW-Authenticate` headers."""
        basic = ['Basic realm="watchd", charset="UTF-8"'] if self._users else []
        return [*basic, *(['Bearer realm="watchd"'] if self._token is not None else [])]

    async def accept(self, authorization: str, checker: Executor) -> bool:
        """Check an `Authorization` header, decoded as latin-1; passwords in `checker`, one at a time. Raise `Busy`."""
        scheme, _, value = authorization.partition(" ")
        match scheme.lower():
            case "bearer" if self._token is not None:
                return hmac.compare_digest(value.strip().encode("latin-1"), self._token)
            case "basic" if self._users:
                try:
                    name, colon, password = base64.b64decode(value.strip(), validate=True).partition(b":")
                except (binascii.Error, ValueError):
                    return False
                return bool(colon) and await self._check_password(name.decode(errors="replace"), password, checker)
        return False

    async def _check_password(self, name: str, password: bytes, checker: Executor) -> bool:
        digest = self._digest(password)
        if hmac.compare_digest(self._cache.get(name, b""), digest):
            return True
        if self._waiting >= MAX_WAITING:
            raise Busy
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            right = await loop.run_in_executor(checker, _check, password, self._users.get(name, self._decoy))
        finally:
            self._waiting -= 1
        if right and name in self._users:
            self._cache[name] = digest
            return True
        return False

    def _digest(self, password: bytes) -> bytes:
        """Return the keyed digest that the cache holds instead of the password."""
        return hashlib.blake2b(password, key=self._key).digest()


def _check(password: bytes, hashed: bytes) -> bool:
    import bcrypt  # noqa: PLC0415 - only where there are users

    try:
        right = bcrypt.checkpw(password[:MAX_PASSWORD_SIZE], hashed)
    except ValueError:  # bcrypt accepts no NUL byte
        right = False
    if not right:
        time.sleep(WRONG_PASSWORD_DELAY)
    return right


def _cost(hashed: bytes) -> bytes:
    return hashed[4:6]
