"""Access to the HTTP server, from `[http]`: TLS, client certificates, host names, credentials."""

import os
import re
import socket
import ssl
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from watchd.config.schema.config import Http
from watchd.errors import ConfigError
from watchd.http.credentials import Credentials
from watchd.http.hosts import Hosts, is_local


@dataclass(frozen=True, slots=True)
class Access:
    """Settings that every request is checked against. A reload makes a new one and changes none."""

    hosts: Hosts | None  # None: any, as on a UNIX socket, which no browser reaches
    tls: ssl.SSLContext | None
    credentials: Credentials
    warnings: tuple[str, ...]


def read_access(settings: Http) -> Access:
    """Read the files that `[http]` names. Raise `ConfigError` with all problems."""
    problems: list[str] = []
    tls = _tls_context(settings, problems)
    token = _read_token(settings.bearer_token_file, problems)
    if problems:
        raise ConfigError(problems)
    warnings = (*_open_to_others(settings, tls), *_readable_by_all(settings))
    return Access(Hosts(settings.addresses, settings.allowed_hosts), tls, Credentials(settings.users, token), warnings)


def _open_to_others(settings: Http, tls: ssl.SSLContext | None) -> Iterator[str]:
    others = [each for each in settings.addresses if not is_local(each)]
    if not others:
        return
    listen = " and ".join(others)
    verb = "accepts" if len(others) == 1 else "accept"
    if not (settings.users or settings.bearer_token_file or settings.client_ca):
        yield (
            f"{listen} {verb} connections from other machines without a login: anyone who reaches it can"
            " read everything (set [http] users, bearer_token_file or client_ca)"
        )
    elif tls is None:
        yield (
            f"{listen} {verb} connections from other machines without TLS: passwords and tokens can be read"
            " on the network (set [http] tls_cert and tls_key)"
        )


def _readable_by_all(settings: Http) -> Iterator[str]:
    for key in ("tls_key", "bearer_token_file"):
        file: Path | None = getattr(settings, key)
        if file is not None and file.stat().st_mode & stat.S_IROTH:
            yield f"http.{key}: {file} can be read by every user of this machine (chmod o-r {file})"


def _tls_context(settings: Http, problems: list[str]) -> ssl.SSLContext | None:
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    has_both = all(
        [
            _contains_pem(settings.tls_cert, "http.tls_cert", "CERTIFICATE", problems),
            _contains_pem(settings.tls_key, "http.tls_key", "PRIVATE KEY", problems),
        ]
    )
    if has_both:
        try:
            context.load_cert_chain(settings.tls_cert, settings.tls_key, password=_no_passphrase)
        except _Encrypted:
            problems.append(f"http.tls_key: {settings.tls_key} needs a passphrase: use a key without one")
        except OSError as error:
            problems.append(
                f"http.tls_key: {settings.tls_key} does not belong to {settings.tls_cert}: {error_reason(error)}"
            )
    if settings.client_ca is not None and _contains_pem(settings.client_ca, "http.client_ca", "CERTIFICATE", problems):
        context.verify_mode = ssl.CERT_REQUIRED
        try:
            context.load_verify_locations(settings.client_ca)
        except OSError as error:
            problems.append(f"http.client_ca: {settings.client_ca} contains no PEM certificate: {error_reason(error)}")
    return context


def _contains_pem(file: Path, key: str, what: str, problems: list[str]) -> bool:
    """Return whether the file has a PEM block of this type; if not, add a problem for the configuration `key`."""
    try:
        found = re.search(rb"-----BEGIN [A-Z0-9 ]*" + what.encode() + rb"-----", file.read_bytes()) is not None
    except OSError as error:
        problems.append(f"{key}: {file} cannot be read: {error_reason(error)}")
        return False
    if not found:
        problems.append(f"{key}: {file} contains no PEM {what.lower()}")
    return found


def _read_token(file: Path | None, problems: list[str]) -> str | None:
    if file is None:
        return None
    try:
        token = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        problems.append(f"http.bearer_token_file: {file} cannot be read or is not ASCII text")
        return None
    if not token or len(token.split()) > 1:
        problems.append(f"http.bearer_token_file: {file} must contain one token and nothing else")
    return token


def error_reason(error: OSError) -> str:
    """Return the reason as OpenSSL or the system words it: Python adds source positions and addresses to some."""
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.replace("_", " ").lower()
    if isinstance(error, ssl.SSLError | socket.gaierror) or error.errno is None:
        return str(error.strerror or error)
    return os.strerror(error.errno)


class _Encrypted(Exception):
    """The key has a passphrase. Without this, OpenSSL would ask for it on the terminal."""


def _no_passphrase() -> str:
    raise _Encrypted
