"""The alert rules in `deploy/prometheus` and their tests."""

import re

from tests import ROOT

RULES = sorted((ROOT / "deploy/prometheus").glob("watchd-*.yml"))


def test_each_alert_has_a_test() -> None:
    alerts = {name for file in RULES for name in re.findall(r"- alert: (\w+)", file.read_text())}
    tested = set(re.findall(r"alertname: (\w+)", (ROOT / "tests/matrix/alerts.yml").read_text()))
    assert alerts == tested
