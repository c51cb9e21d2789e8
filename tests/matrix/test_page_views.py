"""The views of the page with what a host may tell of: many containers and networks, failures, nothing that matches."""

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.harness.engine import Engine
from tests.harness.page_data import answers, tell_of
from tests.harness.watchd_process import Daemon, running, write_config


@pytest.fixture(scope="module")
def daemon(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with running(write_config(tmp_path_factory.mktemp("views"), engine.host)) as daemon:
        yield daemon


def test_many_networks_are_a_list_that_has_each_container_once(look: Callable[..., Page]) -> None:
    page = look("#disk")
    tell_of(page, 300)
    page.get_by_role("navigation").get_by_role("link", name="Networks").click()
    picture = page.get_by_role("region", name="Picture of the networks")
    chips = picture.get_by_role("link")
    told = answers(300)["networks"]["networks"]
    names = {row["name"] for each in told for row in each["containers"]}
    expect(chips).to_have_count(len(names))
    shop = picture.locator("section").filter(has=page.get_by_role("heading", name="shop_default", exact=True))
    expect(shop.get_by_role("link").filter(has_text="shop-proxy-1")).to_contain_text("also proxy")


@pytest.mark.parametrize("width", [390, 768])
def test_long_names_in_the_table_of_networks_keep_their_ends(look: Callable[..., Page], width: int) -> None:
    page = look("#disk", viewport={"width": width, "height": 900})
    tell_of(page, 30)
    page.get_by_role("navigation").get_by_role("link", name="Networks").click()
    name = "shop-metrics-exporter-with-a-long-name-1"
    link = page.get_by_role("table", name="Containers by network").get_by_role("link", name=name, exact=True)
    expect(link).to_have_text(name)
    end, cell = (link.locator(place).bounding_box() for place in (".end", "xpath=ancestor::td"))
    assert end
    assert cell
    assert end["x"] + end["width"] <= cell["x"] + cell["width"]
    assert end["height"] < 30  # one line


def test_the_long_name_of_a_network_keeps_its_end(look: Callable[..., Page]) -> None:
    told = answers(9)["networks"]
    name = "the-shop-with-a-long-name-of-its-own_default"
    networks = [{**each, "name": name} if each["name"] == "shop_default" else each for each in told["networks"]]
    page = look("#disk", viewport={"width": 768, "height": 900})
    page.route("**/api/v1/networks", lambda route: route.fulfill(json={**told, "networks": networks}))
    page.get_by_role("navigation").get_by_role("link", name="Networks").click()
    head = page.get_by_role("button", name=name, exact=True)
    expect(head).to_have_text(name)
    assert head.evaluate("head => head.querySelector('.start').scrollWidth > head.querySelector('.start').clientWidth")
    end, cell = (head.locator(place).bounding_box() for place in (".end", "xpath=ancestor::td"))
    assert end
    assert cell
    assert end["x"] + end["width"] <= cell["x"] + cell["width"]


@pytest.mark.parametrize("width", [390, 768, 1400])
def test_two_problems_of_a_container_are_read_whole(look: Callable[..., Page], width: int) -> None:
    told = answers(9, time.time())["containers"]
    row = {**told["containers"][0], "health": "unhealthy", "log_limit_bytes": 0, "log_bytes": 1_190_000_000}
    page = look("#disk", viewport={"width": width, "height": 900})
    page.route("**/api/v1/containers", lambda route: route.fulfill(json={**told, "containers": [row]}))
    page.get_by_role("navigation").get_by_role("link", name="Containers").click()
    state = page.locator("tbody .state").filter(visible=True)
    expect(state).to_have_text("unhealthy, log of 1.19GB")
    assert state.evaluate("state => state.scrollWidth <= state.clientWidth && state.scrollHeight <= state.clientHeight")
    box, cell = state.bounding_box(), state.locator("xpath=ancestor::td").bounding_box()
    assert box
    assert cell
    assert cell["y"] <= box["y"]
    assert box["y"] + box["height"] <= cell["y"] + cell["height"]


def test_of_a_folded_project_only_what_has_a_problem_is_shown(look: Callable[..., Page]) -> None:
    page = look("#disk")
    tell_of(page, 300)
    page.get_by_role("navigation").get_by_role("link", name="Containers").click()
    head = page.get_by_role("button", name="billing", exact=True)
    expect(head).to_have_attribute("aria-expanded", "false")
    links = page.locator("tbody a.name").filter(has_text=re.compile("^billing-[a-z]"))
    expect(page.get_by_role("row").filter(has=head)).to_contain_text("2 problems")
    expect(links).to_have_count(2)
    head.press("Enter")
    expect(links).to_have_count(8)
    head.press("Enter")
    expect(links).to_have_count(0)


def test_throttling_around_its_threshold_does_not_come_and_go(look: Callable[..., Page]) -> None:
    told = answers(9, time.time())["containers"]
    row = {**told["containers"][0], "health": None, "log_limit_bytes": 1, "throttled": 0.24}
    page = look("#disk")
    page.route("**/api/v1/containers", lambda route: route.fulfill(json={**told, "containers": [row]}))
    page.get_by_role("navigation").get_by_role("link", name="Containers").click()
    line = page.get_by_role("row").filter(has=page.get_by_role("link", name=row["name"], exact=True))
    expect(line).to_contain_text("running")
    for share, text in ((0.26, "throttled 26%"), (0.22, "throttled 22%"), (0.19, "running"), (0.24, "running")):
        row.update(throttled=share, log_bytes=share * 1e8)
        with page.expect_response("**/api/v1/containers"):
            page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        expect(line).to_contain_text(f"{share * 100:.0f}MB")  # it is drawn anew
        expect(line).to_contain_text(text)


def test_a_plan_of_policies_that_only_report_says_so_in_the_words_of_explain(look: Callable[..., Page]) -> None:
    item: dict[str, Any] = {
        "kind": "container", "id": "1" * 64, "name": "old", "names": [], "action": "remove", "mode": "report",
        "policy": "p", "reason": "exited_too_long", "facts": {"status": "exited"}, "bytes": 5_000_000,
        "at_least": False,
    }  # fmt: skip
    runs = {**item, "id": "2" * 64, "name": "web", "action": "keep", "mode": None, "reason": "condition_not_met"}
    runs["facts"] = {"status": "running"}
    plan = {
        "plan_id": "1",
        "created_at": "2026-11-20T04:00:00Z",
        "items": [item, runs],
        "totals": {},
        "without_pressure": {},
    }
    page = look("#disk")
    page.route("**/api/v1/plan", lambda route: route.fulfill(json=plan))
    page.get_by_role("navigation").get_by_role("link", name="Plan").click()
    main = page.get_by_role("main")
    expect(main).to_contain_text("Would only report 1 container, about 5MB.")
    expect(main).not_to_contain_text("Nothing would be removed")
    expect(page.locator("summary").filter(has_text="Containers · it is running")).to_be_visible()
    assert not re.search("exited_too_long|condition_not_met", main.inner_text())


def test_starts_of_a_container_that_fails_again_and_again_are_one_line(look: Callable[..., Page]) -> None:
    now = time.time()
    event: dict[str, Any] = {
        "type": "container", "id": "1" * 64, "name": "fails", "exit_code": None, "health": None, "container": None
    }  # fmt: skip
    pairs = [({**event, "action": "start"}, {**event, "action": "die", "exit_code": 3}) for _ in range(20)]
    rows = [{**each, "time": now - place} for place, each in enumerate(one for pair in pairs for one in pair)]
    rows.append(
        {**event, "time": now - 100, "action": "health_status", "health": "unhealthy", "name": "sick", "id": "2" * 64}
    )
    page = look("#disk")
    page.route("**/api/v1/events", lambda route: route.fulfill(json={"events": rows}))
    page.get_by_role("navigation").get_by_role("link", name="Events").click()
    lines = page.locator("tbody tr")
    expect(lines).to_have_count(3)
    expect(lines.filter(has_text="die (3)")).to_contain_text("20 times since")
    expect(lines.filter(has_text="sick")).to_contain_text("health_status: unhealthy")


@pytest.mark.parametrize("view", ["containers", "networks", "plan", "history", "events"])
def test_a_filter_that_matches_nothing_says_so_and_escape_empties_it(look: Callable[..., Page], view: str) -> None:
    row = {
        "time": "2026-11-20T04:00:00Z", "kind": "image", "id": "sha256:1", "name": "app:1", "action": "remove",
        "policy": "old", "reason": "unused_too_long", "facts": {}, "bytes": 5, "trigger": "schedule", "detail": "",
        "outcome": "removed", "regretted_at": None, "needed_for": "",
    }  # fmt: skip
    event = {
        "time": 1.0,
        "type": "container",
        "action": "start",
        "id": "1",
        "name": "web",
        "exit_code": None,
        "health": None,
        "container": None,
    }
    page = look("#disk")
    tell_of(page, 30)
    page.route("**/api/v1/history*", lambda route: route.fulfill(json={"rows": [row], "count": 1}))
    page.route("**/api/v1/events", lambda route: route.fulfill(json={"events": [event]}))
    page.get_by_role("navigation").get_by_role("link", name=view.capitalize()).click()
    rows = page.locator("tbody a.name, tbody .name, details.group > summary .title")
    expect(rows.nth(1 if view == "plan" else 0)).to_be_visible()
    field = page.get_by_label("Filter")
    field.fill("nothing like it")
    expect(page.get_by_text("Nothing matches the filter.")).to_be_visible()
    field.press("Escape")
    expect(field).to_have_value("")
    expect(page.get_by_text("Nothing matches the filter.")).to_have_count(0)


def test_small_parts_of_a_disk_are_seen(look: Callable[..., Page]) -> None:
    page = look("#disk")
    bar = page.locator(".whole-disk")
    expect(bar.locator(".one")).to_have_count(1)  # the images, of a few MB
    for part in bar.locator("span:not(.mark)").all():
        box = part.bounding_box()
        assert box
        border = part.evaluate("part => parseFloat(getComputedStyle(part).borderRightWidth)")
        assert box["width"] - border >= 2, "its colour, beside the line after it"


def test_projects_that_are_alike_stand_by_name(look: Callable[..., Page]) -> None:
    told = answers(300, time.time())["containers"]
    rows = [{**row, "restarts": 0} for row in told["containers"]]
    page = look("#disk")
    page.route("**/api/v1/containers", lambda route: route.fulfill(json={**told, "containers": rows}))
    page.goto(page.url.replace("#disk", "#containers?sort=restarts&order=falls"))
    projects = page.locator("tr.group-head .fold")
    expect(projects.first).to_be_visible()
    names = [name for name in projects.evaluate_all("all => all.map(one => one.title)") if name.startswith("m")]
    assert names == ["mail", "mail-1", "mail-2", "media", "media-1", "media-2", "metrics", "metrics-1", "metrics-2"]


@pytest.mark.parametrize(("known", "width"), [(4, 11), (30, 29), (60, 59)])
def test_small_graphs_are_as_wide_as_what_is_known(look: Callable[..., Page], known: int, width: int) -> None:
    told = answers(9, time.time())["series"]["containers"]

    def since(points: list[float]) -> list[float | None]:
        return [*[None] * (len(points) - known), *points[-known:]]

    tails = {
        id_: {**tail, "series": {name: since(points) for name, points in tail["series"].items()}}
        for id_, tail in told.items()
    }
    page = look("#disk")
    tell_of(page, 9)
    page.route("**/api/v1/series?*", lambda route: route.fulfill(json={"containers": tails}))
    page.get_by_role("navigation").get_by_role("link", name="Containers").click()
    graph = page.locator(".spark.cpu_cores[viewBox]").first
    expect(graph).to_have_attribute("viewBox", f"0 0 {width} 18")


def test_what_was_deleted_has_its_short_id(look: Callable[..., Page]) -> None:
    id_ = f"sha256:{'0123456789abcdef' * 4}"
    gone = {"time": time.time(), "type": "image", "action": "delete", "id": id_, "name": id_, "exit_code": None}
    page = look("#disk")
    page.route("**/api/v1/events", lambda route: route.fulfill(json={"events": [gone]}))
    page.get_by_role("navigation").get_by_role("link", name="Events").click()
    expect(page.get_by_role("cell", name="0123456789ab")).to_have_text(re.compile("^0123456789ab(image)?$"))
