"""How the HTTP server is reached, by `[http]`: TLS, client certificates, names, credentials.

All but the address can be replaced while it serves.
"""

import ssl
from pathlib import Path

from watchd.config.schema import Http
from watchd.errors import ConfigError
from watchd.web.credentials import Credentials
from watchd.web.hosts import Hosts, is_loopback


class Access:
    """What `[http]` says, with its files read. `warning` is what is unsafe about it, if anything is.

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
        self.warning = self._warning(settings)

    def _warning(self, settings: Http) -> str:
        if is_loopback(settings.listen):
            return ""
        known = self.credentials.required or settings.client_ca is not None
        if self.tls is None and known:
            return (
                f"{settings.listen} is reached from other machines without TLS: whoever is on the way can read the"
                " passwords and tokens that are sent (set [http] tls_cert and tls_key)"
            )
        if not known:
            return (
                f"{settings.listen} is reached from other machines, and whoever reaches it can read it (set [http]"
                " users, bearer_token_file or client_ca)"
            )
        return ""


def _tls(settings: Http, problems: list[str]) -> ssl.SSLContext | None:
    """Return what TLS is spoken with, None for none of it."""
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(settings.tls_cert, settings.tls_key, password=_no_passphrase)
    except _Encrypted:
        problems.append(f"http.tls_key: {settings.tls_key} needs a passphrase: give a key without one")
    except (ssl.SSLError, OSError) as error:
        pair = f"{settings.tls_cert} and {settings.tls_key}"
        problems.append(f"http.tls_cert: {pair} are no certificate and its key, in PEM: {_words(error)}")
    if settings.client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        try:
            context.load_verify_locations(settings.client_ca)
        except (ssl.SSLError, OSError) as error:
            problems.append(f"http.client_ca: {settings.client_ca} has no certificate in PEM: {_words(error)}")
    return context


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


class _Encrypted(Exception):
    """A key asks for its passphrase: OpenSSL would ask on the terminal."""


def _no_passphrase() -> str:
    raise _Encrypted


def _words(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).replace("_", " ").lower()
    return str(error.strerror or error)
