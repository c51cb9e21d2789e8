"""The files of the page: nothing from another address, nothing inline, no HTML made from text."""

import re
from pathlib import Path

from watchd.cleanup.plan.plan import KINDS, Outcome
from watchd.cleanup.plan.reasons import Reason
from watchd.cleanup.report import verdict
from watchd.http import files

FILES = Path(files.__file__).with_name("page")
OWN_FILES = [path for path in FILES.rglob("*") if path.is_file() and path.parent.name != "uplot"]


def test_no_file_of_the_page_names_another_address() -> None:
    """The library's name some in comments, and SVG's own name is one."""
    for path in OWN_FILES:
        found = set(re.findall(r"[a-z]+://[^\s\"'<>]+", path.read_text()))
        assert found <= {"http://www.w3.org/2000/svg"}, path
    library = re.sub(r"/\*.*?\*/", "", (FILES / "uplot/uPlot.esm.js").read_text(), flags=re.DOTALL)
    library = re.sub(r"//.*", "", library)
    assert not re.search(r"\b(https?|wss?):|fetch\(|XMLHttpRequest|WebSocket|import\(", library)


def test_its_words_have_every_reason_and_outcome() -> None:
    words = (FILES / "words.js").read_text()
    for word in (*Reason, *Outcome, *KINDS):
        assert re.search(rf"^  {word}: ", words, re.MULTILINE), word


def test_its_reasons_are_those_of_explain() -> None:
    words = (FILES / "words.js").read_text()
    for reason, text in {**verdict._WENT, **verdict._STAYS}.items():
        assert f'  {reason}: "{text}",' in words


def test_nothing_of_it_is_inline() -> None:
    """So that the Content-Security-Policy can forbid that."""
    index = (FILES / "index.html").read_text()
    assert re.findall(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=", index) == []
    policies = {route({}).policy for route in files.routes().values()}
    assert len(policies) == 1
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in "".join(policies)
    assert "unsafe" not in "".join(policies)


def test_nothing_of_it_is_read_as_html() -> None:
    for path in FILES.rglob("*.js"):
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", path.read_text()), path
