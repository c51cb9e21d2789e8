"""How the HTTP server is reached, by `[http]`: TLS, client certificates, names, credentials.

All but the address can be replaced while it serves.
"""

import os
import re
import socket
import ssl
import stat
from collections.abc import Iterator
from pathlib import Path

from watchd.config.schema import Http
from watchd.errors import ConfigError
from watchd.web.credentials import Credentials
from watchd.web.hosts import Hosts, is_loopback


class Access:
    """What `[http]` says, with its files read. `warnings` tell what is unsafe about it.

    Raise `ConfigError` where a file is not what it should be.
    """

    def __init__(self, settings: Http) -> None:
        problems: list[str] = []
        self.hosts = Hosts(settings.listen, settings.allowed_hosts)
        self.tls = _tls(settings, problems)
        token = _token(settings.bearer_token_file, problems)
        if problems:
            raise ConfigError(problems)
        users = {name: hashed.get_secret_value() for name, hashed in settings.users.items()}
        self.credentials = Credentials(users, token)
        self.warnings = [*self._unsafe(settings), *_readable_by_all(settings)]

    def _unsafe(self, settings: Http) -> Iterator[str]:
        if is_loopback(settings.listen):
            return
        known = self.credentials.required or settings.client_ca is not None
        if not known:
            yield (
                f"{settings.listen} is reached from other machines, and whoever reaches it can read it (set [http]"
                " users, bearer_token_file or client_ca)"
            )
        elif self.tls is None:
            yield (
                f"{settings.listen} is reached from other machines without TLS: whoever is on the way can read the"
                " passwords and tokens that are sent (set [http] tls_cert and tls_key)"
            )


def _readable_by_all(settings: Http) -> Iterator[str]:
    for key in ("tls_key", "bearer_token_file"):
        file: Path | None = getattr(settings, key)
        if file is not None and file.stat().st_mode & stat.S_IROTH:
            yield f"http.{key}: {file} can be read by every user of this machine (chmod o-r {file})"


def _tls(settings: Http, problems: list[str]) -> ssl.SSLContext | None:
    """Return what TLS is spoken with, None for none of it."""
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    has_both = all(
        [
            _has(settings.tls_cert, "http.tls_cert", "CERTIFICATE", problems),
            _has(settings.tls_key, "http.tls_key", "PRIVATE KEY", problems),
        ]
    )
    if has_both:
        try:
            context.load_cert_chain(settings.tls_cert, settings.tls_key, password=_no_passphrase)
        except _Encrypted:
            problems.append(f"http.tls_key: {settings.tls_key} needs a passphrase: give a key without one")
        except OSError as error:
            problems.append(
                f"http.tls_key: {settings.tls_key} is not the key of {settings.tls_cert}: {in_words(error)}"
            )
    if settings.client_ca is not None and _has(settings.client_ca, "http.client_ca", "CERTIFICATE", problems):
        context.verify_mode = ssl.CERT_REQUIRED
        try:
            context.load_verify_locations(settings.client_ca)
        except OSError as error:
            problems.append(f"http.client_ca: {settings.client_ca} has no certificate in PEM: {in_words(error)}")
    return context


def _has(file: Path, key: str, what: str, problems: list[str]) -> bool:
    """Whether a PEM file has something of a kind in it."""
    try:
        found = re.search(rb"-----BEGIN [A-Z0-9 ]*" + what.encode() + rb"-----", file.read_bytes()) is not None
    except OSError as error:
        problems.append(f"{key}: {file} cannot be read: {in_words(error)}")
        return False
    if not found:
        problems.append(f"{key}: {file} has no {what.lower()} in PEM")
    return found


def _token(file: Path | None, problems: list[str]) -> str | None:
    if file is None:
        return None
    try:
        token = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        problems.append(f"http.bearer_token_file: {file} cannot be read, or is not ASCII text")
        return None
    if not token or len(token.split()) > 1:
        problems.append(f"http.bearer_token_file: {file} should have one token in it, and nothing else")
    return token


def in_words(error: OSError) -> str:
    """Return what went wrong in the words of OpenSSL or the system: Python adds places and addresses to some."""
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.replace("_", " ").lower()
    if isinstance(error, ssl.SSLError | socket.gaierror) or error.errno is None:
        return str(error.strerror or error)
    return os.strerror(error.errno)


class _Encrypted(Exception):
    """A key asks for its passphrase: OpenSSL would ask on the terminal."""


def _no_passphrase() -> str:
    raise _Encrypted
