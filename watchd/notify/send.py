"""`python -m watchd.notify.send`: send one message with Apprise, or check addresses, and end.

A process of its own: Apprise takes a second to load and memory that the daemon would keep. It reads
`{"urls": [...], "message": {"title": ..., "body": ...}}` from stdin, so that no secret is in its arguments, and prints
an array of `{"receiver": <service>, "error": <text or null>}` as JSON, one per URL. If the message is null, it sends
nothing.
"""

import json
import logging
import sys
from typing import Any

import apprise


class _LastError(logging.Handler):
    """Log handler that keeps the last warning of Apprise, which is all that it tells of a failure."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the text."""
        self.text = record.getMessage()


def main() -> None:
    """Send to every receiver, whether or not another one fails."""
    order = json.load(sys.stdin)
    log = _LastError()
    logging.getLogger("apprise").addHandler(log)
    json.dump([_send(url, order["message"], log) for url in order["urls"]], sys.stdout)


def _send(url: str, message: dict[str, str] | None, log: _LastError) -> dict[str, Any]:
    log.text = ""
    receiver = apprise.Apprise.instantiate(url)
    if receiver is None:  # what Apprise logs of it has the URL, and so its secrets
        scheme = url.partition(":")[0]
        advice = "https://appriseit.com/services/ tells how to write it"
        return {"receiver": scheme, "error": f"Apprise does not accept this {scheme}:// address: {advice}"}
    is_well = message is None or receiver.notify(title=message["title"], body=message["body"])
    problem = None if is_well else _without_secrets(log.text, url) or "did not accept the message"
    return {"receiver": str(receiver.service_name), "error": problem}


def _without_secrets(text: str, url: str) -> str:
    """Return the text, empty if it repeats a part of the address that may be a secret."""
    parts = [part for part in url.replace("@", "/").replace(":", "/").replace("?", "/").split("/") if len(part) > 3]
    return "" if any(part in text for part in parts[1:]) else text


if __name__ == "__main__":
    main()
