"""The page at `/`, in a real browser, on a real engine."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import bcrypt
import docker
import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page, Request, Route, expect

from tests.harness import images
from tests.harness.browser import PATIENCE, watch
from tests.harness.engine import Engine
from tests.harness.page_data import advice
from tests.harness.waiting import wait_until
from tests.harness.watchd_process import Daemon, running, watchd, write_config
from watchd.cleanup.plan.plan import KINDS

VIEWS = ("Containers", "Networks", "Disk", "Plan", "History", "Events")
TAG = "<img src=x onerror=\"document.title='broken'\">"
CLEANUP = """\
mode = "enforce"
schedule = "30d"
grace = "0s"
policies = [
    { name = "ended", kind = "container", select = { name = ["old-*"] }, when = { finished_for = "0s" } },
    { name = "later", kind = "container", when = { finished_for = "7d" } },
    { name = "full", kind = "image", pressure = { high = "99%", low = "98%" } },
]
"""


@pytest.fixture(scope="module")
def config(engine: Engine, client: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An engine with a few containers, and a state with something in its history."""
    file = write_config(tmp_path_factory.mktemp("page"), engine.host, CLEANUP)
    project = {"com.docker.compose.project": "shop", "com.docker.compose.service": "web"}
    made = [
        run(client, "runs", "while :; do sleep 0.1; done", labels=project, mem_limit="64m"),
        run(client, "fails", "head -c 3000000 /dev/zero > /content; exit 3"),
        run(client, "hostile", "sleep 600", labels={"com.docker.compose.project": TAG, TAG: TAG}),
        client.containers.create(images.BASE, name="waits"),
    ]
    run(client, "old-1", "head -c 2000000 /dev/zero > /content").wait()
    assert watchd("prune", "--yes", "-c", file).returncode == 0
    made.append(run(client, "old-2", "true"))
    yield file
    for container in made:
        container.remove(force=True)


@pytest.fixture(scope="module")
def daemon(config: Path) -> Iterator[Daemon]:
    with running(config) as daemon:
        yield daemon


@contextmanager
def new_context(chromium: Browser) -> Iterator[BrowserContext]:
    context = chromium.new_context()
    context.set_default_timeout(PATIENCE)
    try:
        yield context
    finally:
        context.close()


def run(client: docker.DockerClient, name: str, script: str, **options: Any) -> Any:
    return client.containers.run(images.BASE, ["sh", "-c", script], name=name, detach=True, **options)


def row(page: Page, name: str) -> Any:
    """Return the line of the table that is about something."""
    return page.get_by_role("row").filter(has=page.get_by_role("link", name=name, exact=True))


def answered(page: Page, view: str) -> Any:
    """Return something that a view has once it is answered."""
    there = {
        "Containers": page.locator("tbody a.name"),
        "Networks": page.get_by_role("region", name="Picture of the networks"),
        "Disk": page.get_by_text("The engine uses"),
        "Plan": page.get_by_text("Stays"),
        "History": page.get_by_text(re.compile("Removed |Nothing was removed")),
        "Events": page.get_by_text("Commands run in containers are left out"),
    }
    return there[view.capitalize()].first


def asked(daemon: Daemon, path: str, **query: str) -> Any:
    """Return what a route answers, when it has made it."""
    answers: list[tuple[int, bytes]] = []

    def made() -> bool:
        answers.append(daemon.get(f"/api/v1/{path}?{urlencode(query)}"))
        return answers[-1][0] != 202

    wait_until(made, seconds=60, what=f"an answer of {path}")
    status, body = answers[-1]
    assert status == 200, body
    return json.loads(body)


def told(page: Page, url: str, instead: Mapping[str, Any]) -> Callable[[], None]:
    """Have a page be told something else in a reply, and return what has it ask again."""

    def answer(route: Route) -> None:
        reply = route.fetch()
        route.fulfill(response=reply, json={**reply.json(), **instead})

    def ask_again() -> None:
        with page.expect_response(url):
            page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")

    page.route(url, answer)
    return ask_again


def test_containers_are_shown(look: Callable[..., Page]) -> None:
    page = look()
    expect(page).to_have_title("Containers · watchd")
    expect(row(page, "runs")).to_contain_text("running")
    expect(row(page, "runs")).to_contain_text("of 64MiB")
    expect(row(page, "fails")).to_contain_text("exited (3)")
    expect(row(page, "waits")).to_contain_text("created")


def test_what_is_started_appears_by_itself(look: Callable[..., Page], client: docker.DockerClient) -> None:
    page = look()
    expect(row(page, "runs")).to_be_visible()
    page.evaluate("window.sameDocument = true")
    container = run(client, "newborn", "sleep 600")
    try:
        expect(row(page, "newborn")).to_contain_text("running")
        expect(page.get_by_role("status").filter(has_text="newborn")).to_have_count(1)  # told to who listens
    finally:
        container.remove(force=True)
    expect(row(page, "newborn")).to_have_count(0)
    assert page.evaluate("window.sameDocument") is True


def test_what_tries_to_be_html_stays_text(look: Callable[..., Page], client: docker.DockerClient) -> None:
    page = look(viewport={"width": 1280, "height": 900})
    expect(row(page, "hostile")).to_contain_text(TAG)
    page.goto(f"{page.url.partition('#')[0]}#containers/{client.containers.get('hostile').id}")
    expect(page.get_by_text(TAG)).to_be_visible()
    assert page.locator("main img").count() == 0


def test_the_browser_itself_takes_no_html_from_it(chromium: Browser, daemon: Daemon) -> None:
    """Trusted Types: even a mistake in the page's code could not have it read as HTML."""
    with new_context(chromium) as context:
        page = context.new_page()
        page.goto(f"http://{daemon.listen}/")
        with pytest.raises(Error, match="requires 'TrustedHTML'"):
            page.evaluate("document.body.innerHTML = '<b>bold</b>'")


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (1280, "dark")])
def test_every_view_fits_the_window(look: Callable[..., Page], width: int, scheme: str) -> None:
    page = look(viewport={"width": width, "height": 740}, color_scheme=scheme)
    for view in VIEWS:
        page.get_by_role("navigation").get_by_role("link", name=view).click()
        expect(page.get_by_role("heading", level=1)).to_have_text(view)
        expect(answered(page, view)).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{view} is wider than the window"
        expect(page.get_by_role("alert")).to_be_hidden()
    colour = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", colour))) < 200) == (scheme == "dark")


def test_a_container_is_reached_by_keyboard(look: Callable[..., Page]) -> None:
    page = look()
    expect(row(page, "runs")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
    link = page.get_by_role("link", name="runs", exact=True)
    for _ in range(40):
        page.keyboard.press("Tab")
        if link.evaluate("link => link === document.activeElement"):
            break
    expect(link).to_be_focused()
    assert link.evaluate("link => getComputedStyle(link).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("runs")
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    expect(page.get_by_role("img", name=re.compile("Memory, working set: .* now"))).to_be_visible()
    expect(page.get_by_role("rowheader", name="later (enforce)")).to_be_visible()
    page.go_back()
    expect(link).to_be_focused()


def test_headers_sort_and_say_so(look: Callable[..., Page]) -> None:
    page = look()
    expect(row(page, "runs")).to_be_visible()
    header = page.get_by_role("columnheader", name="Name")
    for order in ("ascending", "descending"):
        header.get_by_role("button").click()
        expect(header).to_have_attribute("aria-sort", order)
        names = page.locator("tbody a.name").all_inner_texts()
        assert names == sorted(names, reverse=order == "descending")
    page.get_by_label("Filter").fill("shop")
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(row(page, "runs")).to_be_visible()


def test_the_plan_has_every_object_and_its_reason(look: Callable[..., Page]) -> None:
    page = look("#plan")
    goes = page.locator("li").filter(has_text="old-2")
    expect(goes).to_contain_text("ended")
    page.locator("summary").filter(has_text="its policy's conditions do not hold yet").click()
    stays = page.locator("li").filter(has_text="fails")
    stays.get_by_role("button", name="Why? fails").click()
    expect(stays).to_contain_text("It goes in 6d 23h, when finished_for reaches 7d.")
    page.get_by_label("Reason").select_option("in_use")
    expect(page.locator("li").filter(has_text="fails")).to_have_count(0)


def test_thresholds_are_asked_for_by_a_button_alone_and_shown_with_their_evidence(look: Callable[..., Page]) -> None:
    page = look("#plan", viewport={"width": 390, "height": 800})
    ready = advice()
    waits: dict[str, Any] = {"state": "computing", "advice": None, "error": None}
    answers = [waits, {**waits, "state": "failed", "error": "the record has no timeline yet"}, waits, ready]
    asked: list[str] = []

    def answer(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(json=answers[min(len(asked), len(answers)) - 1])

    page.route("**/api/v1/advice", answer)
    page.locator("summary").filter(has_text="Thresholds").press("Enter")
    button = page.get_by_role("button", name="Work out from this host's past")
    expect(button).to_be_visible()
    assert asked == []
    button.press("Enter")
    expect(page.get_by_text("It could not be worked out: the record has no timeline yet.")).to_be_visible()
    expect(button).to_be_focused()
    button.press("Enter")
    images = page.locator(".advised .card").filter(has=page.get_by_role("heading", name="Images"))
    expect(images.get_by_role("img")).to_have_attribute("aria-label", re.compile("recommended: 9d; today: 7d"))
    expect(page.get_by_role("heading", name="Containers")).to_be_focused()
    expect(images.get_by_role("row").filter(has_text="recommended")).to_contain_text("0 of 239")
    expect(images.get_by_role("row").filter(has_text="90d")).to_contain_text("\u2013")
    assert images.locator(".at").count() == 2
    kinds = ready["advice"]["kinds"]
    expect(page.get_by_text(kinds["volume"]["note"])).to_have_count(2)
    expect(page.get_by_text(kinds["container"]["note"])).to_be_visible()
    assert images.locator("pre").text_content() == kinds["image"]["recommended"]["toml"]
    page.wait_for_timeout(3000)  # it asks every 2 s while it is being worked out
    assert len(asked) == len(answers)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_what_was_removed_is_shown(look: Callable[..., Page]) -> None:
    page = look("#history")
    expect(page.get_by_role("row").filter(has_text="old-1")).to_contain_text("removed")
    expect(page.get_by_role("img", name=re.compile("Freed each day: 2(\\.\\d+)?MB in all"))).to_be_visible()


def test_what_fills_the_disk_is_shown(look: Callable[..., Page]) -> None:
    page = look("#disk")
    expect(page.locator("ol.largest li").filter(has_text="fails")).to_contain_text("3MB")
    expect(page.get_by_text("full acts from 99% on, until 98%").first).to_be_visible()


def test_events_are_shown(look: Callable[..., Page], client: docker.DockerClient) -> None:
    run(client, "short", "exit 7").wait()
    client.containers.get("short").remove()
    page = look("#events")
    expect(page.get_by_role("row").filter(has_text="short").filter(has_text="die (7)")).to_be_visible()


def test_an_event_of_another_day_has_its_date(look: Callable[..., Page], daemon: Daemon) -> None:
    past = {"time": 1767268800.0, "type": "planet", "action": "start", "id": "1", "name": "past", "exit_code": None}
    answers = [{"events": [past]}, {"events": daemon.ask("/api/v1/events")["events"]}]
    page = look()
    page.route("**/api/v1/events", lambda route: route.fulfill(json=answers[0]))
    page.get_by_role("navigation").get_by_role("link", name="Events").click()
    expect(page.get_by_role("row").filter(has_text="past")).to_contain_text(re.compile("Jan 1, |Dec 31, "))
    page.get_by_label("Type").select_option("planet")
    del answers[0]
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.get_by_label("Type")).to_have_value("")  # there is none of that type any more
    expect(page.get_by_role("row").filter(has_text="past")).to_have_count(0)


def test_a_kind_is_chosen_by_keyboard(look: Callable[..., Page]) -> None:
    page = look("#disk")
    kind = page.get_by_label("Kind")
    expect(kind).to_be_visible()
    kind.focus()
    kind.select_option("image")
    expect(page.locator("ol.largest li").filter(has_text="fails")).to_have_count(0)
    expect(kind).to_be_focused()


def test_a_group_that_is_closed_stays_so_though_the_plan_is_drawn_anew_at_once(look: Callable[..., Page]) -> None:
    page = look("#plan")
    item = page.locator("li").filter(has_text="old-2")
    expect(item).to_be_visible()
    page.locator("summary").filter(has_text="ended long enough ago").evaluate(
        """(summary) => {
            summary.click();
            const filter = document.querySelector("input[type=search]");
            filter.value = "old-2";
            filter.dispatchEvent(new Event("input", { bubbles: true }));
        }"""
    )
    expect(page.locator("details:not(.thresholds) > summary")).to_have_count(1)
    expect(item).to_be_hidden()


def test_a_plan_that_is_read_stays_as_it_is(look: Callable[..., Page], daemon: Daemon) -> None:
    page = look("#plan")
    item = page.locator("li").filter(has_text="old-2")
    expect(item).to_be_visible()
    page.locator("summary").filter(has_text="ended long enough ago").click()
    page.get_by_label("Filter").fill("old-2")  # it is drawn anew
    groups = page.locator("details:not(.thresholds) > summary")
    expect(groups).to_have_count(1)
    expect(item).to_be_hidden()
    groups.click()
    newer: dict[str, Any] = {"plan_id": "another"}
    ask_again = told(page, "**/api/v1/plan", newer)
    ask_again()
    newer.update(plan_id="a third", items=[])
    ask_again()
    expect(page.get_by_text("There is a newer plan.")).to_be_visible()
    expect(item).to_be_visible()
    page.get_by_role("button", name="Show it").click()
    expect(page.get_by_text("The engine has nothing.")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    one = next(item for item in asked(daemon, "plan")["items"] if item["name"] == "old-2")
    newer.update(plan_id="a fourth", items=[{**one, "name": f"old-2-{number}"} for number in range(150)])
    ask_again()
    page.get_by_role("button", name="Show more (50 are left)").click()
    expect(page.get_by_role("button", name="Why? old-2-100", exact=True)).to_be_focused()
    page.get_by_label("Filter").fill("old")
    expect(item).to_have_count(150)


def test_what_more_is_shown_has_the_focus(look: Callable[..., Page], daemon: Daemon) -> None:
    page = look()
    one = next(each for each in daemon.ask("/api/v1/containers")["containers"] if each["name"] == "fails")
    many = {"containers": [{**one, "id": f"{number:064x}", "name": f"job-{number}"} for number in range(1200)]}
    ask_again = told(page, "**/api/v1/containers", many)
    ask_again()
    button = page.get_by_role("button", name="Show more")
    button.focus()
    ask_again()
    expect(button).to_be_focused()
    shown = page.locator("tbody tr")
    expect(shown).to_have_count(500)
    button.press("Enter")
    expect(shown).to_have_count(1000)
    expect(shown.nth(500).get_by_role("link")).to_be_focused()
    button.press("Enter")
    expect(shown).to_have_count(1200)
    expect(shown.nth(1000).get_by_role("link")).to_be_focused()
    expect(button).to_have_count(0)


def test_what_more_of_the_history_is_shown_has_the_focus(look: Callable[..., Page], daemon: Daemon) -> None:
    one = daemon.ask("/api/v1/history")["rows"][0]
    many = {"rows": [{**one, "name": f"job-{number}"} for number in range(300)]}
    page = look()
    page.route("**/api/v1/history*", lambda route: route.fulfill(json={**many, "since": 0, "count": 300}))
    page.get_by_role("navigation").get_by_role("link", name="History").click()
    button = page.get_by_role("button", name="Show more")
    button.press("Enter")
    expect(page.locator("tbody tr")).to_have_count(300)
    expect(page.locator("tbody tr").nth(200)).to_be_focused()


def test_with_a_password_the_browser_asks_for_it_once_and_all_loads(
    chromium: Browser, config: Path, tmp_path: Path
) -> None:
    users = json.dumps({"anna": bcrypt.hashpw(b"hunter2", bcrypt.gensalt(4)).decode()})
    environment = {"WATCHD_HTTP__USERS": users, "WATCHD_STATE__DIRECTORY": str(tmp_path)}
    with running(config, **environment) as daemon, new_context(chromium) as context:
        page = context.new_page()
        trouble: list[str] = []
        watch(page, daemon.listen, trouble)
        times_asked = type_the_password(page, "anna", "hunter2")
        page.goto(f"http://{daemon.listen}/")
        for view in VIEWS:
            page.get_by_role("navigation").get_by_role("link", name=view).click()
            expect(page.get_by_role("heading", level=1, name=view)).to_be_visible()
            expect(answered(page, view)).to_be_visible()
        page.get_by_role("navigation").get_by_role("link", name="Containers").click()
        row(page, "runs").get_by_role("link").click()
        expect(page.get_by_role("heading", level=1, name="runs")).to_be_visible()
        assert daemon.get("/")[0] == 401
        assert (times_asked, trouble) == ([f"http://{daemon.listen}/"], [])


def type_the_password(page: Page, username: str, password: str) -> list[str]:
    """Answer in people's stead when the browser asks who they are. Return the addresses for which it will have."""
    times_asked: list[str] = []
    session = page.context.new_cdp_session(page)

    def answer(event: dict[str, Any]) -> None:
        times_asked.append(event["request"]["url"])
        response = {"response": "ProvideCredentials", "username": username, "password": password}
        session.send("Fetch.continueWithAuth", {"requestId": event["requestId"], "authChallengeResponse": response})

    def go_on(event: dict[str, Any]) -> None:
        session.send("Fetch.continueRequest", {"requestId": event["requestId"]})

    session.on("Fetch.authRequired", answer)
    session.on("Fetch.requestPaused", go_on)
    session.send("Fetch.enable", {"handleAuthRequests": True})
    return times_asked


def test_an_address_that_is_none_shows_the_containers(look: Callable[..., Page]) -> None:
    expect(look("#containers/%").get_by_role("heading", level=1)).to_have_text("Containers")


def test_what_one_answer_lacks_is_told_until_that_one_comes(chromium: Browser, daemon: Daemon) -> None:
    with new_context(chromium) as context:
        page = context.new_page()
        page.route("**/api/v1/disk", lambda route: route.fulfill(status=503, json={"error": "the engine is down"}))
        for path in ("containers", "engine"):  # one ping that is late would be told, too
            told(page, f"**/api/v1/{path}", {"engine_up": True})
        page.goto(f"http://{daemon.listen}/")
        alert = page.get_by_role("alert")
        expect(alert).to_have_text("the engine is down. The data below may be old.")
        alert.evaluate(
            "line => { window.changes = 0; new MutationObserver(() => changes++).observe(line, { attributes: true }); }"
        )
        for _ in range(2):
            with page.expect_response("**/api/v1/containers"):
                pass
        expect(alert).to_be_visible()
        assert page.evaluate("window.changes") == 0
        page.unroute("**/api/v1/disk")
        expect(alert).to_be_hidden()
        expect(page.get_by_text("watchd answers again")).to_have_count(0)


def test_where_there_is_nothing_yet_nothing_is_said_to_be_old(chromium: Browser, daemon: Daemon) -> None:
    with new_context(chromium) as context:
        page = context.new_page()
        page.route("**/api/v1/plan", lambda route: route.fulfill(status=503, json={"error": "the engine is down"}))
        page.goto(f"http://{daemon.listen}/#plan")
        expect(page.get_by_role("alert")).to_have_text("the engine is down. Nothing can be shown yet.")


def test_a_container_that_is_not_there_has_no_empty_parts(chromium: Browser, daemon: Daemon) -> None:
    with new_context(chromium) as context:  # a browser logs what is answered with 404
        page = context.new_page()
        page.goto(f"http://{daemon.listen}/#containers/0123456789ab")
        title = page.get_by_role("heading", level=1)
        expect(title).to_have_text("There is no container 0123456789ab")
        expect(page.get_by_role("heading", name="The last hour")).to_be_hidden()
        expect(page.get_by_role("heading", name="Events")).to_be_visible()


def test_a_daemon_that_goes_away_is_told_of(chromium: Browser, config: Path) -> None:
    with new_context(chromium) as context:
        page = context.new_page()
        with running(config, WATCHD_STATE__DIRECTORY=str(config.parent / "other")) as daemon:
            page.goto(f"http://{daemon.listen}/")
            expect(row(page, "runs")).to_be_visible()
        expect(page.get_by_role("alert")).to_contain_text("watchd does not answer")
        expect(row(page, "runs")).to_be_visible()


def test_its_routes_say_what_the_commands_say(daemon: Daemon, config: Path) -> None:
    def told(*command: str) -> Any:
        return json.loads(watchd(*command, "--json", "-c", config).stdout)

    plan, printed = asked(daemon, "plan"), told("prune", "--dry-run")
    assert plan.keys() == printed.keys()
    assert {(item["id"], item["action"], item["reason"]) for item in plan["items"]} == {
        (item["id"], item["action"], item["reason"]) for item in printed["items"]
    }
    explained = asked(daemon, "explain", kind="container", ref="fails")
    assert explained.keys() == told("explain", "fails").keys()
    assert (explained["name"], explained["reason"]) == ("fails", "condition_not_met")
    rows = told("history")
    assert rows
    for row in rows:
        del row["labels"]  # are the record's alone
    assert asked(daemon, "history", since="1d")["rows"] == rows
    assert asked(daemon, "usage")["kinds"].keys() == told("df")["kinds"].keys() == {*KINDS, "builder", "log"}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("explain?kind=container&ref=no-such-container", 404),
        ("explain?kind=container", 400),
        ("explain?kind=planet&ref=runs", 400),
        ("history?since=yesterday", 400),
        ("history?since=0", 400),
    ],
)
def test_what_cannot_be_answered_is_refused_with_a_reason(daemon: Daemon, path: str, status: int) -> None:
    answer: list[tuple[int, bytes]] = []

    def made() -> bool:
        answer.append(daemon.get(f"/api/v1/{path}"))
        return answer[-1][0] != 202

    wait_until(made, seconds=60, what="an answer")
    assert answer[-1][0] == status
    assert json.loads(answer[-1][1])["error"]


def test_only_files_of_the_page_are_served(daemon: Daemon) -> None:
    for path in ("/page/", "/page/../files.py", "/page/%2e%2e/files.py", "/page/uplot", "/page/index.html", "/page"):
        assert daemon.get(path)[0] == 404
    assert daemon.get("/page/uplot/LICENSE")[1].startswith(b"The MIT License")


def test_it_asks_again_only_while_it_is_seen(look: Callable[..., Page], daemon: Daemon) -> None:
    asked(daemon, "next")  # what is being prepared is asked for until it is there
    page = look()
    expect(row(page, "runs")).to_be_visible()
    requests: list[Request] = []
    page.evaluate("Object.defineProperty(document, 'hidden', { value: true, configurable: true })")
    page.on("request", lambda request: requests.append(request))  # noqa: PLW0108 - it takes functions alone
    page.wait_for_timeout(6000)  # it asks every 5 s
    assert requests == []
    with page.expect_request("**/api/v1/containers"):
        page.evaluate("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")


def test_a_line_that_changes_and_moves_keeps_the_focus(look: Callable[..., Page], client: docker.DockerClient) -> None:
    container = run(client, "ending", "sleep 600")
    try:
        page = look()
        link = page.get_by_role("link", name="ending", exact=True)
        link.focus()
        container.kill()
        expect(row(page, "ending")).to_contain_text("exited (137)")
        expect(link).to_be_focused()
    finally:
        container.remove(force=True)


def test_what_has_ended_is_shown_as_it_was_last(chromium: Browser, daemon: Daemon, client: docker.DockerClient) -> None:
    daemon.get("/api/v1/explain?kind=container&ref=no-such-container")  # a plan without what comes now
    container = run(client, "brief", "sleep 600")
    explanation = f"/api/v1/explain?kind=container&ref={container.id}"
    replies: list[int] = []

    def explain(route: Route) -> None:
        """Know nothing of it at first, and then wait for the next plan: after a slow one that takes more than 10 s."""
        replies.append(200 if replies else 404)
        if replies[-1] == 200:
            wait_until(lambda: daemon.get(explanation)[0] == 200, seconds=30, what="a plan with it")
            route.continue_()
        else:
            route.fulfill(status=404, json={"error": "no such container"})

    with new_context(chromium) as context:  # a browser logs what is answered with 404
        try:
            page = context.new_page()
            page.route("**/api/v1/explain?*", explain)
            page.goto(f"http://{daemon.listen}/#containers/{container.id}")
            memory = page.get_by_role("img", name=re.compile("Memory, working set: "))
            expect(memory).to_have_attribute("aria-label", re.compile(" now, "))
            expect(page.get_by_role("rowheader", name="later (enforce)")).to_be_visible()
            container.kill()
            expect(memory).to_have_attribute("aria-label", re.compile(" last, "))
        finally:
            container.remove(force=True)
        with page.expect_response(lambda answer: "/series?" in answer.url and answer.status == 404):
            expect(page.get_by_role("heading", level=1)).to_have_text("brief (gone)")
        expect(memory).to_have_attribute("aria-label", re.compile(" last, "))
        expect(page.get_by_role("alert")).to_be_hidden()
