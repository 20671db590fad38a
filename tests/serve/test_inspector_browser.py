"""The inspector in a real browser: scripts, keys, the policy, what it asks for, and how wide it gets."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("jinja2")
pytest.importorskip("websockets")
pytest.importorskip("uvicorn")

import uvicorn

import mnemic
from mnemic import Memory
from mnemic.clock import ManualClock, parse_time
from mnemic.serve.inspector import upkeep
from serve.chromium import BINARY, Chromium
from serve.one_memory import OneMemory, Work, app_over

pytestmark = pytest.mark.skipif(BINARY is None, reason="no Chromium is installed here")

SCOPE = "friends"
HOSTILE = (
    "<script>window.hurt=1</script><img src=x onerror='window.hurt=2'><svg onload='window.hurt=3'> javascript:alert(1)"
)
PAGES = ("timeline", "sessions", "search", "compare", "records", "usage", "queue", "forget")


class Site:
    """A served memory with the demo conversation, and a browser on it."""

    def __init__(self, memory: Memory, desk: OneMemory, browser: Chromium, base: str) -> None:
        self.memory, self.desk, self.browser, self.base = memory, desk, browser, base

    def open(self, path: str) -> None:
        self.browser.open(f"{self.base}/{path}")


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    lines = (Path(mnemic.__file__).parent / "data/demo.jsonl").read_text("utf-8").splitlines()
    messages = [json.loads(line) for line in lines]
    clock = ManualClock(parse_time(messages[0]["timestamp"]))
    memory = Memory.open(None, embedder="hashing", clock=clock)
    sessions: dict[str, list[dict[str, str]]] = {}
    for message in messages:
        sessions.setdefault(message["session"], []).append(message)
    for said in sessions.values():
        clock.set(parse_time(said[-1]["timestamp"]))
        memory.scope(SCOPE).add(said)
    memory.scope("hostile").add(HOSTILE, actor="<b>Eve</b>", session='"><script>window.hurt=4</script>', id="bad")
    desk = OneMemory(memory)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app_over(desk), log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    browser = Chromium()
    try:
        yield Site(memory, desk, browser, f"http://127.0.0.1:{listener.getsockname()[1]}")
    finally:
        browser.close()
        server.should_exit = True
        thread.join()
        memory.close()


@pytest.fixture(autouse=True)
def _nothing_goes_wrong_and_nothing_leaves(site: Site) -> Iterator[None]:
    """Around every test: no complaint in the console, no request to another origin."""
    site.browser.size(1200, 900)
    site.browser.complaints.clear()
    site.browser.requests.clear()
    yield
    foreign = [one for one in site.browser.requests if not one.startswith((site.base + "/", "data:"))]
    assert foreign == []  # data: is what the browser itself draws a date field with
    assert site.browser.complaints == []


def test_a_question_is_typed_and_its_hits_are_explained(site: Site):
    browser = site.browser
    site.open("")
    browser.click(f'.scopes a[href*="{SCOPE}"]')
    browser.press("/")
    browser.type("[data-quick]", "What is the frame number of Gudrun?")
    browser.press("Enter", leads_on=True)
    assert parse_qs(urlsplit(browser.url).query) == {"scope": [SCOPE], "q": ["What is the frame number of Gudrun?"]}
    assert "WK7Q-20418" in browser.text(".hit")
    browser.press("j")
    browser.press("w")
    assert "shares" in browser.text(".hit details") or "words" in browser.text(".hit .reasons")
    widths = browser.js("[...document.querySelectorAll('.hit .stack')].map(e => e.getBoundingClientRect().width)")
    assert min(widths) > 200
    browser.press("Enter", leads_on=True)
    assert "/inspector/episode" in browser.url
    assert "What it is tied to" in browser.text()
    browser.back()
    assert "WK7Q-20418" in browser.text(".hit")


def test_keys_walk_through_the_pages_of_the_timeline(site: Site):
    browser = site.browser
    site.open(f"inspector/timeline?scope={SCOPE}")
    first = browser.text(".log")
    assert browser.count("[data-row]") == 50
    for _ in range(50):
        browser.press("j")
    browser.press("j", leads_on=True)
    assert "older=" in browser.url
    assert browser.text(".log") != first
    browser.press("k")
    browser.press("?")
    assert browser.js("document.getElementById('keys').open")
    browser.press("Escape")


def test_the_slider_takes_the_memory_back(site: Site):
    browser = site.browser
    site.open(f"inspector/search?scope={SCOPE}&q=Which+tea+is+Mara%27s+favourite%3F&as_of=2025-01-01")
    late = browser.text(".verdict") + browser.text(".hits")
    before = browser._loads
    browser.js(
        "(() => { const s = document.querySelector('[data-stops]'); s.value = 3; s.dispatchEvent(new Event('input'));"
        " s.dispatchEvent(new Event('change')); return true; })()"
    )
    browser._wait_for_load(before)
    as_of = parse_qs(urlsplit(browser.url).query)["as_of"][0]
    assert as_of < "2024-05"
    dates = browser.js("[...document.querySelectorAll('.hit time')].map(e => e.getAttribute('datetime'))")
    assert dates
    assert max(map(parse_time, dates)) <= parse_time(as_of)
    assert browser.text(".hits") not in late
    assert browser.js("document.querySelector('[data-stops]').value") == "3"


def test_what_was_missed_is_found_by_following_the_advice(site: Site):
    browser = site.browser
    site.open(f"inspector/search?scope={SCOPE}&q=Where+does+Mara+work%3F&session=s01&limit=5")
    browser.type("[name=missed]", "s14-15")
    browser.press("Enter", leads_on=True)
    assert "s01" in browser.text(".obstacles")
    browser.click(".why-not .button")
    assert "NV 4417" in browser.text(".hits")


def test_two_systems_are_joined_by_lines(site: Site):
    browser = site.browser
    site.open(f"inspector/compare?scope={SCOPE}&q=Where+does+Mara+work%3F")
    lines = browser.count(".lines path")
    assert lines > 0
    assert browser.count(".ranking .only") == 20 - 2 * lines
    ends = browser.js(
        "[...document.querySelectorAll('.lines path')].map(p => { const b = p.getBoundingClientRect();"
        " return [b.left, b.right]; })"
    )
    left, right = browser.js("[...document.querySelectorAll('.ranking')].map(e => e.getBoundingClientRect().left)")
    assert all(left < start < end <= right + 1 for start, end in ends)
    site.browser.size(360, 780)
    assert "in bm25" in browser.text(".met")


def test_a_session_is_forgotten_with_a_receipt(site: Site):
    browser = site.browser
    scope = site.memory.scope("to forget")
    scope.add([{"content": f"Secret number {n}", "session": "s"} for n in range(3)])
    site.open("inspector/timeline?scope=to%20forget&session=s")
    browser.click("main a.danger")
    assert browser.js("document.querySelector('button.danger').disabled")
    browser.type("[name=confirm]", "3")
    assert not browser.js("document.querySelector('.confirm button.danger').disabled")
    browser.click(".confirm button.danger")
    assert browser.text("h1") == "3 episodes forgotten"
    assert "Secret" not in browser.text("body")
    assert scope.list() == []
    address = browser.url
    site.open("inspector/timeline?scope=to%20forget")
    assert "Nothing is remembered here" in browser.text()
    browser.open(address)
    assert browser.text("h1") == "3 episodes forgotten"


def test_hostile_text_does_not_run(site: Site):
    browser = site.browser
    for path in (
        *(
            f"inspector/{name}?scope=hostile&q=script&session=%22%3E%3Cscript%3Ewindow.hurt%3D5%3C/script%3E"
            for name in PAGES
        ),
        "inspector/timeline?scope=hostile",
        "inspector/search?scope=hostile&q=script+window&missed=%3Cscript%3Ewindow.hurt%3D6%3C/script%3E",
        "inspector/episode?scope=hostile&id=bad",
        "inspector/forget?scope=hostile&id=bad",
        "?prefix=%22%3E%3Cscript%3Ewindow.hurt%3D7%3C/script%3E",
    ):
        site.open(path)
        assert browser.js("window.hurt") is None, path
    site.open("inspector/episode?scope=hostile&id=bad")
    assert HOSTILE in browser.text(".whole")


def test_the_policy_itself_would_stop_a_script_that_got_in(site: Site):
    browser = site.browser
    site.open("")
    browser.js(
        "(() => { const s = document.createElement('script'); s.textContent = 'window.hurt = 8';"
        " document.body.append(s); document.body.insertAdjacentHTML('beforeend', '<p style=\"color:red\">x</p>'); return 1; })()"
    )
    time.sleep(0.2)
    assert browser.js("window.hurt") is None
    browser._call("Runtime.evaluate", expression="1")
    assert browser.complaints  # and it says so
    browser.complaints.clear()


def test_no_page_is_wider_than_a_phone(site: Site):
    browser = site.browser
    site.desk.work = [Work("j" * 40, "friends/" + "x" * 60, "failed", error="E" * 200, attempts=2)]
    browser.size(360, 780, dark=True)
    asked = "q=What+is+the+frame+number+of+Gudrun%3F&missed=NV+4417"
    for path in (
        "",
        *(f"inspector/{name}?scope={SCOPE}" for name in PAGES),
        *(f"inspector/{name}?scope={SCOPE}&{asked}&as_of=2024-12-01" for name in ("search", "compare")),
        f"inspector/episode?scope={SCOPE}&id=s14-15",
        f"inspector/forget?scope={SCOPE}&session=s02",
        "inspector/episode?scope=hostile&id=bad",
        "inspector/timeline?scope=" + "long/" * 30 + "x",
    ):
        site.open(path)
        browser.js("document.querySelectorAll('details').forEach(e => e.open = true)")
        assert browser.js("document.documentElement.scrollWidth") <= 360, path
    site.desk.work = []


def test_everything_but_the_niceties_works_without_scripts(site: Site):
    browser = site.browser
    site.memory.scope("quiet").add("The key is under the mat.", id="key")
    browser.scripts(False)
    try:
        site.open("inspector/search?scope=quiet&q=key")
        assert "under the mat" in browser.text(".hits")
        assert browser.js("document.querySelector('.slider')") is None
        site.open("inspector/forget?scope=quiet&id=key")
        browser.click(".confirm button.danger")
        assert browser.text("h1") == "1 episode forgotten"
    finally:
        browser.scripts(True)


def test_every_field_has_a_name_and_every_page_its_landmarks(site: Site):
    browser = site.browser
    nameless = (
        "[...document.querySelectorAll('input:not([type=hidden]), select, textarea')]"
        ".filter(e => !e.labels?.length && !e.ariaLabel).map(e => e.outerHTML)"
    )
    empty = "[...document.querySelectorAll('main a, header a, button')].filter(e => !e.textContent.trim() && !e.ariaLabel).length"
    for path in (f"inspector/{name}?scope={SCOPE}&q=tea" for name in PAGES):
        site.open(path)
        assert browser.js(nameless) == [], path
        assert browser.js(empty) == 0, path
        for selector in ("main", "header", "footer", "h1", "a.skip", "html[lang]"):
            assert browser.count(selector) == 1, (path, selector)
    browser.press("Tab")
    assert browser.js("document.activeElement.className") in ("skip", "")


def test_the_queue_looks_again_by_itself(site: Site, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(upkeep, "REFRESH_S", 0.1)
    browser = site.browser
    site.desk.work = [Work("one", SCOPE, "running", progress=0.5, note="half of it")]
    site.open(f"inspector/queue?scope={SCOPE}")
    assert "half of it" in browser.text("#jobs")
    site.desk.work = [Work("one", SCOPE, "done", progress=1.0)]
    gives_up_at = time.monotonic() + 10
    while "done" not in browser.text("#jobs .state"):
        assert time.monotonic() < gives_up_at
        time.sleep(0.1)
    site.desk.work = []
