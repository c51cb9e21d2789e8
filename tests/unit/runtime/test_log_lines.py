"""A record is one line, whatever text of others its message has."""

import json
import logging

import pytest

from watchd.runtime.log import JsonFormatter, TextFormatter

PAGE = "<html>\r\n<h1>502 Bad Gateway</h1>\n\x1b[31m\u2028</html>"


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()], ids=["text", "json"])
def test_a_proxys_page_of_html_is_one_line(formatter: logging.Formatter) -> None:
    record = logging.LogRecord("watchd.engine", logging.WARNING, "", 0, "refused: %s", (PAGE,), None)
    line = formatter.format(record)
    assert line.splitlines() == [line]
    assert line.isprintable()


def test_the_message_of_a_json_line_is_as_it_was() -> None:
    record = logging.LogRecord("watchd.engine", logging.WARNING, "", 0, PAGE, (), None)
    assert json.loads(JsonFormatter().format(record))["message"] == PAGE
