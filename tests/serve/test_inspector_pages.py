"""The inspector over HTTP: what it shows is text, what it does needs a token, and nothing crosses a scope."""

import html
import json
import re
from collections.abc import Callable
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("jinja2")

import httpx
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.testclient import TestClient

from client.serving import served
from mnemic import Memory
from mnemic.clock import ManualClock
from mnemic.serve.access import Principal
from mnemic.serve.app import create_app
from mnemic.serve.inspector import drawings, graph, looking
from mnemic.serve.inspector.desk import SESSION_COOKIE
from mnemic.serve.inspector.frame import HEADERS, safe_target
from mnemic.serve.settings import Settings
from mnemic.systems.registry import SYSTEMS
from serve.one_memory import OneMemory, Work, app_over, reader
from systems.digest import FOR_TESTS

HOSTILE = '<script>alert("x")</script> " onmouseover="alert(1)" \' autofocus onfocus=\'alert(2)\' </title><img src=x onerror=alert(3)>'
PAGES = ("timeline", "sessions", "search", "compare", "records", "usage", "queue", "forget")


class Marks(HTMLParser):
    """The elements of a page and their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.fixture
def desk(memory: Memory) -> OneMemory:
    return OneMemory(memory)


@pytest.fixture
def browser(desk: OneMemory) -> TestClient:
    return TestClient(app_over(desk), base_url="http://127.0.0.1")


def page(browser: TestClient, name: str, status: int = 200, **given: Any) -> str:
    answer = browser.get(f"/inspector/{name}" if name else "/", params=given)
    assert answer.status_code == status, answer.text
    return answer.text


def token(text: str) -> str:
    found = re.search(r'name="token" value="([0-9a-f]{64})"', text)
    assert found
    return found[1]


def fields(text: str) -> dict[str, str]:
    """The hidden fields of the form that forgets."""
    form = text[text.index('class="stacked confirm"') :]
    return {
        one["name"]: one.get("value") or ""
        for tag, one in Marks(form[: form.index("</form>")]).found
        if tag == "input" and one.get("type") == "hidden"
    }


def addresses(scope: str, id: str, **more: str) -> list[str]:
    """Every page that shows something of the scope."""
    asked = [f"/inspector/{name}?{urlencode({'scope': scope, **more})}" for name in PAGES]
    questions = {"scope": scope, "q": "script alert", "missed": "script alert onmouseover", "children": "1"}
    return [
        "/",
        *asked,
        f"/inspector/search?{urlencode(questions)}",
        f"/inspector/compare?{urlencode(questions)}",
        f"/inspector/episode?{urlencode({'scope': scope, 'id': id})}",
        f"/inspector/forget?{urlencode({'scope': scope, 'id': id})}",
    ]


# -- what is shown --------------------------------------------------------------------------------------------


def test_remembered_text_is_shown_as_text_on_every_page(browser, desk, monkeypatch):
    for name, where in FOR_TESTS.items():
        monkeypatch.setitem(SYSTEMS, name, where)
    scope = desk.memory.scope('a"><b onclick=x>')
    session = "'\"><script>alert(4)</script>"
    first = scope.add(HOSTILE, role="user", actor=HOSTILE[:60], session=session, metadata={HOSTILE: HOSTILE})
    scope.add(
        {"role": "user", "content": [{"type": "text", "text": "a script"}, {"type": "x", "src": HOSTILE}]},
        session=session,
    )
    scope.add("Another one by <b>Mara</b> about script alert onmouseover", session=session)
    newer = scope.update(first.id, HOSTILE + " again <!-- ")
    scope.attach("digest").consolidate()
    desk.work = [Work(HOSTILE, 'a"><b onclick=x>', "failed", note=HOSTILE, error=HOSTILE, attempts=2)]
    shown = 0
    for address in addresses('a"><b onclick=x>', newer.id, session=session, q=HOSTILE, prefix="a", missed=HOSTILE):
        answer = browser.get(address)
        assert answer.status_code == 200, address
        marks = Marks(answer.text).found
        assert [one for tag, one in marks if tag == "script" and "inspector.js" not in (one.get("src") or "")] == []
        assert [name for _, one in marks for name in one if name.startswith("on") or name == "style"] == [], address
        assert [
            tag for tag, _ in marks if tag in ("style", "img", "iframe", "object", "embed", "base") and tag != "img"
        ] == []
        assert [one for tag, one in marks if tag == "img" and "mark.svg" not in str(one.get("src"))] == [], address
        assert [
            one["href"] for tag, one in marks if tag == "a" and not (one.get("href") or "").startswith(("/", "#"))
        ] == []
        shown += "&lt;script&gt;alert(" in answer.text
    assert shown >= 8  # it really stood there


def test_every_answer_carries_a_strict_policy(browser, desk):
    desk.memory.scope("a").add("Something.", id="one")
    found = [browser.get(address, follow_redirects=False) for address in addresses("a", "one")]
    found += [
        browser.get("/inspector/episode?scope=a&id=nothing"),
        browser.get("/inspector/timeline?scope=a//b"),
        browser.get("/inspector/timeline?older=x"),
        browser.get("/inspector/search?q=x&filters=no"),
        browser.get("/inspector/login", follow_redirects=False),
        browser.get("/inspector/static/inspector.js"),
        browser.post("/inspector/forget", data={}),
    ]
    assert [one.status_code for one in found[-7:]] == [404, 422, 422, 422, 303, 200, 403]
    for answer in found:
        for name in ("Content-Security-Policy", "X-Content-Type-Options", "Referrer-Policy"):
            assert answer.headers[name] == HEADERS[name], answer.url
    policy = HEADERS["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


def test_pages_need_nothing_from_elsewhere(browser, desk):
    desk.memory.scope("a").add("Something.", id="one")
    for address in addresses("a", "one"):
        marks = Marks(browser.get(address).text).found
        wanted = [one.get(name) for _, one in marks for name in ("src", "href", "action") if one.get(name)]
        assert [one for one in wanted if not str(one).startswith(("/", "#"))] == []


def test_a_stale_file_is_asked_for_again_and_a_known_one_is_not(browser):
    first = browser.get("/inspector/static/inspector.css")
    again = browser.get("/inspector/static/inspector.css", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert browser.get("/inspector/static/..%2Fpages.py").status_code == 404


# -- the timeline ---------------------------------------------------------------------------------------------


def test_paging_shows_each_of_5000_episodes_once_in_both_directions(browser, desk, clock):
    moments = [clock.now() + timedelta(hours=3 * number) for number in range(5000)]
    desk.memory.scope("a").add(
        [
            {"content": f"episode {number:04d}", "timestamp": moments[number], "session": f"s{number // 40}"}
            for number in range(5000)
        ]
    )
    seen, address, pages = [], "/inspector/timeline?scope=a", []
    while address:
        text = browser.get(address).text
        pages.append(address)
        seen += re.findall(r"episode (\d{4})", text)
        assert text.count('class="episode"') <= 50
        found = re.search(r'<a href="([^"]+)" rel="next"', text)
        address = found[1].replace("&amp;", "&") if found else ""
    assert seen == [f"{number:04d}" for number in reversed(range(5000))]
    assert len(pages) == 100

    back, address = [], pages[-1]
    while address:
        text = browser.get(address).text
        back = re.findall(r"episode (\d{4})", text) + back
        found = re.search(r'<a href="([^"]+)" rel="prev"', text)
        address = found[1].replace("&amp;", "&") if found else ""
    assert back == seen


def test_a_month_of_the_strip_leads_to_its_episodes(browser, desk):
    desk.memory.scope("a").add(
        [
            {"content": f"in month {month}", "timestamp": f"2023-{month:02d}-10"}
            for month in range(1, 13)
            for _ in range(10)
        ]
    )
    text = page(browser, "timeline", scope="a")
    bars = dict(re.findall(r'<a href="(/inspector/timeline[^"]+)" aria-label="(\w+ 2023): 10 episodes"', text))
    assert len(bars) == 12
    march = next(address for address, name in bars.items() if name == "Mar 2023")
    assert "in month 3" in browser.get(march.replace("&amp;", "&")).text.split('class="log"')[1][:900]


def test_a_session_reads_from_its_beginning(browser, desk):
    desk.memory.scope("a").add([{"content": f"part {n:03d}", "session": "talk"} for n in range(120)])
    desk.memory.scope("a").add("elsewhere", session="other")
    text = page(browser, "timeline", scope="a", session="talk")
    assert re.findall(r"part (\d{3})", text) == [f"{n:03d}" for n in range(50)]
    assert "elsewhere" not in text


def test_what_was_corrected_or_only_repeats_says_so(browser, desk):
    alice = desk.memory.scope("alice")
    old = alice.add("The dentist is on 14 May at nine o'clock in the morning.", id="old")
    alice.update("old", "The dentist is on 16 May at nine o'clock in the morning.", new_id="new")
    block = alice.context("dentist")
    alice.add({"role": "assistant", "content": str(block)}, id="echo")
    text = page(browser, "timeline", scope="alice")
    assert ">corrected</a>" in text
    assert ">correction</a>" in text
    assert ">echo</span>" in text
    assert "Another text stands in its place" in page(browser, "episode", scope="alice", id=old.id)
    assert "What it repeats" in page(browser, "episode", scope="alice", id="echo")


def test_an_empty_page_says_what_to_do(browser, desk):
    assert "Nothing is remembered yet" in page(browser, "")
    assert "add(" in page(browser, "timeline", scope="new")
    assert "There is no page" in page(browser, "typo", status=404)
    assert browser.get("/inspector/", follow_redirects=False).headers["location"] == "/"
    assert browser.get("/inspector", follow_redirects=False).headers["location"] == "/"
    assert "No system keeps records here" in page(browser, "records", scope="new")
    desk.memory.scope("above/below").add("Something.")
    assert "/inspector/timeline?scope=above%2Fbelow" in page(browser, "timeline", scope="above")


# -- asking ---------------------------------------------------------------------------------------------------


@pytest.fixture
def tea(desk: OneMemory, clock: ManualClock) -> Memory:
    """A little past: three sessions, recorded a month apart."""
    scope = desk.memory.scope("alice")
    scope.add(
        [{"name": "Ana", "content": "My favourite tea is sencha from Uji."}, {"name": "Ben", "content": "Noted."}],
        session="one",
    )
    clock.advance(timedelta(days=30))
    scope.add("Ana says that Uji is near Kyoto.", session="two", metadata={"topic": "places"})
    clock.advance(timedelta(days=30))
    scope.add("My favourite tea is now genmaicha.", session="three", actor="Ana", id="latest")
    return scope


def test_a_search_that_finds_nothing_says_why(browser, desk, tea):
    nothing = page(browser, "search", scope="alicia", q="tea")
    assert "Nothing is stored in <b><bdi>alicia</bdi></b>" in nothing
    assert "Ask as the agent would" not in nothing
    assert "What I missed" not in nothing
    desk.memory.scope("ann/notes").add("A note on tea.")
    above = page(browser, "search", scope="ann", q="tea")
    assert "children=1" in above
    assert "A note on tea." in page(browser, "search", scope="ann", q="tea", children="1")
    narrowed = page(browser, "search", scope="alice", q="tea", filters='{"topic": "nothing"}')
    assert "Search without narrowing" in narrowed
    assert "Nothing is stored" not in narrowed


def test_the_first_example_of_an_empty_server_can_be_run(memory):
    with served(app_over(OneMemory(memory))) as url:
        shown = httpx.get(f"{url}/").text
    example = html.unescape(re.search(r"<pre>(from mnemic import Client.*?)</pre>", shown, re.S)[1])
    assert f'Client("{url}").scope("acme/alice")' in example
    names = {}
    lines = example.splitlines()
    exec("\n".join(line for line in lines if "add(" not in line), names)
    assert names["memory"].scope_path == "acme/alice"
    names["memory"].close()


def test_a_search_shows_the_reasons_of_every_hit(browser, tea):
    text = page(browser, "search", scope="alice", q="What is the favourite tea?")
    recall = tea.search("What is the favourite tea?")
    assert text.count('class="stack"') == len(recall.hits)
    for reason in recall.hits[0].reasons:
        assert f"</svg>{reason.signal}</th>" in text
        assert f"{reason.contribution:.3f}" in text
    assert "sure that this is stored" in text
    assert "What stands beside it" in text


def test_looking_is_not_recalling(browser, desk, tea):
    text = "My favourite tea is now genmaicha."
    for _ in range(3):
        assert text in page(browser, "search", scope="alice", q="favourite tea", missed="Uji near Kyoto")
        page(browser, "compare", scope="alice", q="favourite tea")
        page(browser, "episode", scope="alice", id="latest")
    assert tea.stats()["recalled"] == 0
    assert not tea.add({"role": "user", "content": text}).echoes


def test_as_of_takes_the_memory_back(browser, tea, clock):
    then = (clock.now() - timedelta(days=40)).replace(tzinfo=None).isoformat()
    assert "genmaicha" in page(browser, "search", scope="alice", q="favourite tea")
    before = page(browser, "search", scope="alice", q="favourite tea", as_of=then)
    assert "genmaicha" not in before
    assert "sencha" in before
    stops = re.search(r'data-stops="([^"]+)"', before)
    assert stops
    assert len(stops[1].split(" ")) == 3  # three moments at which something was recorded


def test_a_search_is_narrowed_as_its_address_says(browser, tea):
    assert "sencha" not in page(browser, "search", scope="alice", q="tea", filters='{"topic": "places"}')
    assert "Kyoto" not in page(browser, "search", scope="alice", q="tea", session="one")
    assert "is not JSON" in page(browser, "search", scope="alice", q="tea", filters="{topic: tea}", status=422)
    assert "is not a time" in page(browser, "search", scope="alice", q="tea", as_of="soon", status=422)
    page(browser, "search", scope="alice", q="tea", system="nothing", status=404)
    page(browser, "search", scope="alice", q="tea", limit="1000", status=422)


def test_what_was_missed_is_explained_with_a_search_that_finds_it(browser, tea):
    asked = {"scope": "alice", "q": "favourite tea", "session": "one", "limit": "1"}
    text = page(browser, "search", **asked, missed="Ana says that Uji is near Kyoto")
    assert "only &#39;one&#39; was searched" in text
    found = re.search(r'class="button" href="([^"]+)"', text)
    assert found
    assert "near Kyoto" in browser.get(found[1].replace("&amp;", "&")).text.split('class="hits"')[1]


def test_two_systems_stand_side_by_side(browser, tea):
    text = page(browser, "compare", scope="alice", q="favourite tea", a="bm25", b="recent")
    left, right = (tea.system(name).search("favourite tea").hits for name in ("bm25", "recent"))
    lines = drawings.crossings(left, right)
    assert text.count('<path class="k') == len(lines) > 0
    assert text.count("only here") == len(left) + len(right) - 2 * len(lines)


@given(
    st.lists(st.integers(0, 20), unique=True, max_size=12),
    st.lists(st.integers(0, 20), unique=True, max_size=12),
)
def test_a_line_joins_exactly_what_stands_in_both(left, right):
    from mnemic.clock import EPOCH
    from mnemic.model import Episode, Hit

    def hits(numbers):
        return [
            Hit(score=0.5, episode=Episode(text="x", id=str(n), scope="", occurred_at=EPOCH, recorded_at=EPOCH))
            for n in numbers
        ]

    lines = drawings.crossings(hits(left), hits(right))
    assert {left[one.start] for one in lines} == set(left) & set(right)
    assert all(left[one.start] == right[one.end] for one in lines)


def test_a_bar_is_as_long_as_the_score(tea):
    hits = tea.search("What is the favourite tea of Ana?").hits
    longest = max(hit.score for hit in hits)
    for hit in hits:
        pieces = drawings.stack(hit, longest)
        assert sum(one.width for one in pieces) == pytest.approx(1000 * hit.score / longest, abs=2)
        assert [one.x for one in pieces] == sorted(one.x for one in pieces)


# -- what an episode is tied to -------------------------------------------------------------------------------


def test_an_episode_is_tied_to_others_by_the_names_they_share(browser, tea):
    one = tea.list(limit=1)[0]
    found = graph.around(tea, one)
    assert [name.text for name in found.names if name.others] == ["Uji"]
    assert [other.episode.text for other in found.others] == ["Ana says that Uji is near Kyoto."]
    assert graph.draw(found) == graph.draw(graph.around(tea, one))
    text = page(browser, "episode", scope="alice", id=one.id)
    assert text.count('class="node name"') == 1
    assert "As a list" in text


def test_rows_of_a_drawing_never_lie_on_one_another(memory):
    names = ["Uji", "Porto", "Kyoto", "Lisbon", "Utrecht", "Aarhus"]
    for first in names:
        for second in names:
            memory.add(f"Last week I went from {first} to {second} by train.")
    drawing = graph.draw(graph.around(memory, memory.list(limit=5)[-1]))
    columns: dict[float, list[float]] = {}
    for node in drawing.nodes:
        columns.setdefault(node.x, []).append(node.y)
        assert node.y >= 19
        assert node.y + 19 <= drawing.height
        assert node.x + node.width <= drawing.width + 0.5
    assert all(
        later - earlier >= 38
        for ys in columns.values()
        for earlier, later in zip(sorted(ys), sorted(ys)[1:], strict=False)
    )


def test_records_show_their_sources_and_their_past(browser, desk, monkeypatch):
    alice = desk.memory.scope("alice")
    for text in ("green", "oolong"):
        alice.add(text, metadata={"document": {"name": "tea", "op": "put"}})
    alice.attach("documents").consolidate()
    made = alice.records()
    text = page(browser, "records", scope="alice")
    assert text.count('class="life"') == len(made) > 1
    assert ">retired</span>" in text
    assert all(f"id={id}" in text for record in made for id in record.sources)
    current = page(browser, "records", scope="alice", state="current")
    assert current.count('class="life"') == sum(one.retired_at is None for one in made)
    assert "Made from it" in page(browser, "episode", scope="alice", id=made[0].sources[0])


# -- forgetting -----------------------------------------------------------------------------------------------


def test_forgetting_one_memory_takes_all_of_it_and_leaves_a_receipt(browser, desk, tea):
    tea.update("latest", "My favourite tea is now hojicha, from the shop by the river.", new_id="newest")
    tea.add({"role": "assistant", "content": str(tea.context("hojicha tea"))}, id="echo")
    text = page(browser, "forget", scope="alice", id="newest")
    counted = {name: int(n) for name, n in re.findall(r"<dt>([^<]+)</dt><dd>(\d+)</dd>", text)}
    preview = tea.forget("newest", dry_run=True)
    assert sum(counted[name] for name in ("memory", "earlier text", "echo")) == preview.episodes == 3
    assert "genmaicha" in text
    answer = browser.post("/inspector/forget", data={**fields(text), "confirm": "3"}, follow_redirects=False)
    assert answer.status_code == 303
    receipt = browser.get(answer.headers["location"]).text
    assert "3 episodes forgotten" in receipt
    assert "genmaicha" not in receipt
    assert "hojicha" not in receipt
    told = browser.get(answer.headers["location"] + "/json")
    assert "attachment" in told.headers["content-disposition"]
    assert set(told.json()["ids"]) == set(preview.ids)
    assert told.json()["is_scrubbed"] is True
    assert not {"latest", "newest", "echo"} & {one.id for one in tea.list()}
    assert "sencha" in page(browser, "timeline", scope="alice")


def test_more_than_one_is_forgotten_only_when_the_number_was_typed(browser, tea):
    text = page(browser, "forget", scope="alice", session="one")
    for typed in ("", "1", "two"):
        answer = browser.post("/inspector/forget", data={**fields(text), "confirm": typed})
        assert answer.status_code == 422
        assert "Nothing was forgotten" in answer.text
    assert len(tea.list()) == 4
    assert browser.post("/inspector/forget", data={**fields(text), "confirm": "2"}).status_code == 200
    assert [one.session for one in tea.list()] == ["two", "three"]


def test_one_alone_needs_no_typing(browser, tea):
    text = page(browser, "forget", scope="alice", id="latest")
    assert "confirm" not in fields(text)
    assert "1 episode forgotten" in browser.post("/inspector/forget", data=fields(text)).text


def test_ids_and_sessions_may_hold_spaces(browser, desk):
    scope = desk.memory.scope("a")
    scope.add("One thing.", id=" a b ", session=" my session ")
    scope.add("Another.", id="a", session="my session")
    scope.add("A third.", id="b")
    assert "Another." not in page(browser, "timeline", scope="a", session=" my session ")
    assert "One thing." in page(browser, "episode", scope="a", id=" a b ")
    browser.post("/inspector/forget", data=fields(page(browser, "forget", scope="a", id=" a b ")))
    assert [one.id for one in scope.list()] == ["a", "b"]
    text = page(browser, "forget", scope="a", ids="a  b")
    browser.post("/inspector/forget", data={**fields(text), "confirm": "2"})
    assert scope.list() == []


def test_what_came_in_since_the_preview_is_shown_first(browser, tea):
    text = page(browser, "forget", scope="alice", session="one")
    tea.add("One more.", session="one")
    answer = browser.post("/inspector/forget", data={**fields(text), "confirm": "2"})
    assert answer.status_code == 409
    assert "One more." in answer.text
    assert len(tea.list()) == 5


def test_another_choice_than_the_one_that_was_shown_is_not_taken(browser, tea):
    shown = fields(page(browser, "forget", scope="alice", id="latest"))
    answer = browser.post("/inspector/forget", data={**shown, "id": tea.list(limit=1)[0].id})
    assert answer.status_code == 409
    assert len(tea.list()) == 4


def test_everything_in_a_scope_can_go_and_nothing_beside_it(browser, desk, tea):
    desk.memory.scope("alice/below").add("Stays.")
    desk.memory.scope("bob").add("Stays, too.")
    text = page(browser, "forget", scope="alice", everything="1")
    assert "4 episodes forgotten" in browser.post("/inspector/forget", data={**fields(text), "confirm": "4"}).text
    assert {path: n for path, n in desk.memory.scopes().items() if n} == {"alice/below": 1, "bob": 1}


def test_a_receipt_is_for_who_made_it(memory):
    keys = {secret: Principal(f"k-{secret}", secret, ("",), frozenset({"read", "forget"})) for secret in ("one", "two")}
    memory.scope("a").add("Something.", id="x")
    app = app_over(OneMemory(memory, keys))
    mine, other = (TestClient(app, base_url="http://127.0.0.1") for _ in keys)
    for client, secret in ((mine, "one"), (other, "two")):
        log_in(client, secret)
    answer = mine.post(
        "/inspector/forget", data=fields(page(mine, "forget", scope="a", id="x")), follow_redirects=False
    )
    assert mine.get(answer.headers["location"]).status_code == 200
    assert other.get(answer.headers["location"]).status_code == 404
    assert other.get(answer.headers["location"] + "/json").status_code == 404


# -- forms ----------------------------------------------------------------------------------------------------


def test_a_form_without_its_token_does_nothing(browser, tea):
    sent = fields(page(browser, "forget", scope="alice", id="latest"))
    for change in ({"token": ""}, {"token": "0" * 64}, {"token": "\u00e9"}):
        assert browser.post("/inspector/forget", data={**sent, **change}).status_code == 403
    other = TestClient(browser.app, base_url="http://127.0.0.1")  # its token is of another browser
    assert other.post("/inspector/forget", data=sent).status_code == 403
    assert len(tea.list()) == 4


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
def test_a_form_from_elsewhere_does_nothing(browser, tea, headers):
    sent = fields(page(browser, "forget", scope="alice", id="latest"))
    assert browser.post("/inspector/forget", data=sent, headers=headers).status_code == 403
    assert len(tea.list()) == 4
    own = {"Origin": "http://127.0.0.1", "Sec-Fetch-Site": "same-origin"}
    assert browser.post("/inspector/forget", data=sent, headers=own).status_code == 200


def test_a_form_that_is_too_large_or_no_form_is_refused(browser):
    token(page(browser, "forget", scope="alice") + '<input name="token" value="' + "0" * 64 + '">')
    assert browser.post("/inspector/forget", content=b"x" * 300_000).status_code == 413
    assert browser.post("/inspector/forget", content=b"\xff\xfe=\xff").status_code in (403, 422)
    assert browser.post("/inspector/forget", content=b"&".join(b"a=1" for _ in range(500))).status_code == 422


def test_reading_changes_nothing(browser, desk, tea):
    before = desk.memory.stats()
    for address in addresses("alice", "latest"):
        browser.get(address)
        assert browser.head(address).status_code in (200, 405)
    assert desk.memory.stats() == before


# -- who may see what -----------------------------------------------------------------------------------------


def log_in(client: TestClient, secret: str) -> Any:
    sent = {"token": token(page(client, "login")), "key": secret, "next": "/"}
    return client.post("/inspector/login", data=sent, follow_redirects=False)


@pytest.fixture
def locked(memory: Memory) -> TestClient:
    """A server with one key, which may read below acme/alice."""
    memory.scope("acme/alice").add("The ferry leaves at ten.", id="mine")
    memory.scope("acme/alice/notes").add("A note on the ferry.")
    memory.scope("acme/bob").add("The ferry is a secret of Bob's.", id="his")
    memory.scope("acme").add("All of us take the ferry, and it is a secret.")
    desk = OneMemory(memory, {"the key": reader("acme/alice")})
    return TestClient(app_over(desk), base_url="http://127.0.0.1")


def test_a_key_is_asked_for_and_kept_as_a_session_alone(locked):
    asked = locked.get("/inspector/timeline?scope=acme/alice", follow_redirects=False)
    assert asked.status_code == 303
    assert asked.headers["location"] == "/inspector/login?next=%2Finspector%2Ftimeline%3Fscope%3Dacme%2Falice"
    assert log_in(locked, "another key").status_code == 401
    answer = log_in(locked, "the key")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "the key" not in cookie
    text = page(locked, "timeline", scope="acme/alice")
    assert "The ferry leaves at ten." in text
    locked.post("/inspector/logout", data={"token": token(text)})
    assert SESSION_COOKIE not in locked.cookies
    assert locked.get("/inspector/timeline?scope=acme/alice", follow_redirects=False).status_code == 303


def test_a_cookie_is_for_encrypted_connections_where_there_are_any(locked):
    client = TestClient(locked.app, base_url="https://127.0.0.1")
    assert "Secure" in log_in(client, "the key").headers["set-cookie"]


def test_nothing_of_another_scope_is_on_any_page(locked):
    log_in(locked, "the key")
    for address in addresses("acme/alice", "mine", q="ferry"):
        answer = locked.get(address)
        assert "secret" not in answer.text, address
        assert "acme/bob" not in answer.text
    for scope in ("acme", "acme/bob", "", "acme/alicea"):
        for name in PAGES[:-1]:
            if name != "queue":
                assert locked.get(f"/inspector/{name}", params={"scope": scope, "q": "ferry"}).status_code == 403
        assert locked.get("/inspector/episode", params={"scope": scope, "id": "his"}).status_code == 403
    assert locked.get("/inspector/episode", params={"scope": "acme/alice", "id": "his"}).status_code == 404


def test_a_key_without_the_verb_cannot_forget(locked):
    log_in(locked, "the key")
    assert locked.get("/inspector/forget?scope=acme/alice&id=mine").status_code == 403
    text = page(locked, "episode", scope="acme/alice", id="mine")
    assert "Forget it" not in text
    assert "/inspector/forget" not in text
    queue = page(locked, "queue", scope="acme/alice")
    assert "/inspector/forget" not in queue
    assert "Consolidate acme/alice" not in queue
    sent = {"token": token(text), "scope": "acme/alice", "id": "mine"}
    assert locked.post("/inspector/forget", data=sent).status_code == 403


@given(st.text(max_size=40))
def test_a_login_leads_to_a_page_of_this_server_alone(target):
    request = Request({"type": "http", "headers": [], "root_path": ""})
    for given_ in (target, "/" + target, "//" + target, "/\\" + target, "https://" + target):
        found = safe_target(request, given_)
        assert found.startswith("/")
        assert not found.startswith(("//", "/\\"))
        assert not any(one in found for one in "\r\n\t\\")


# -- upkeep ---------------------------------------------------------------------------------------------------


def test_the_queue_shows_errors_and_takes_orders(browser, desk):
    desk.memory.scope("a").add("Something.")
    desk.work = [Work("one", "a", "failed", attempts=3, error="It was full."), Work("two", "a", "waiting")]
    text = page(browser, "queue", scope="a")
    assert "It was full." in text
    assert "attempt 3" in text
    sent = {"token": token(text), "scope": "a"}
    browser.post("/inspector/queue", data={**sent, "do": "retry", "job": "one"})
    browser.post("/inspector/queue", data={**sent, "do": "cancel", "job": "two"})
    browser.post("/inspector/queue", data={**sent, "do": "consolidate"})
    assert [(one.scope, one.state) for one in desk.work] == [("a", "waiting"), ("a", "waiting"), ("a", "cancelled")]
    assert browser.post("/inspector/queue", data={**sent, "do": "explode"}).status_code == 422
    assert browser.post("/inspector/queue", data={**sent, "do": "retry", "job": "none"}).status_code == 404


def test_usage_counts_what_was_never_recalled_and_what_failed(browser, desk, tea):
    assert "None of 4 memories was recalled yet" in page(browser, "usage", scope="alice")
    tea.search("genmaicha", limit=1)
    assert "<b>3</b> (75 %) were never recalled" in page(browser, "usage", scope="alice")


def test_months_are_counted_as_a_calendar_would(memory):
    moments = ["1969-12-31T23:59:59", "1970-01-01", "2024-02-29", "2024-02-01", "2024-03-01T00:30:00+01:00"]
    memory.add([{"content": f"at {one}", "timestamp": one} for one in moments])
    assert [(one.year, one.month, one.episodes, one.last_seq) for one in looking.calendar(memory).months] == [
        (1969, 12, 1, 1),
        (1970, 1, 1, 2),
        (2024, 2, 3, 5),
    ]


def test_the_calendar_follows_what_is_added_and_forgotten(memory):
    assert looking.calendar(memory).episodes == 0
    first = memory.add("one", occurred_at="2023-01-01").id
    memory.add("two", occurred_at="2024-01-01")
    assert [one.year for one in looking.calendar(memory).months] == [2023, 2024]
    memory.forget(first)
    assert [one.year for one in looking.calendar(memory).months] == [2024]
    memory.scope("below").add("three", occurred_at="2025-01-01")
    assert looking.calendar(memory).episodes == 1
    assert looking.calendar(memory, include_children=True).episodes == 2


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_colours_are_kept_and_lead_back(browser, theme):
    answer = browser.get(f"/inspector/theme?to={theme}&next=/inspector/usage", follow_redirects=False)
    assert answer.headers["location"] == "/inspector/usage"
    assert f'data-theme="{theme}"' in page(browser, "usage")
    browser.get("/inspector/theme")
    assert "data-theme" not in page(browser, "usage")


def test_links_stay_below_the_path_that_the_server_is_mounted_at(memory):
    memory.scope("a").add("Something.", session="s")
    from fastapi import FastAPI

    outer = FastAPI()
    outer.mount("/mnemic", app_over(OneMemory(memory)))
    client = TestClient(outer, base_url="http://127.0.0.1")
    for address in ("/mnemic/", "/mnemic/inspector/timeline?scope=a", "/mnemic/inspector/search?scope=a&q=something"):
        marks = Marks(client.get(address).text).found
        wanted = [str(one.get(name)) for _, one in marks for name in ("src", "href", "action") if one.get(name)]
        assert [one for one in wanted if not one.startswith(("/mnemic/", "#"))] == []
        assert all(client.get(one).status_code == 200 for one in wanted if "/static/" in one)


Opener = Callable[..., Memory]


def test_pages_of_a_read_only_memory_can_be_read(open_memory: Opener, tmp_path):
    writer = open_memory(tmp_path / "m.db")
    writer.scope("a").add("Something.", id="one")
    writer.close()
    desk = OneMemory(open_memory(tmp_path / "m.db", read_only=True))
    client = TestClient(app_over(desk), base_url="http://127.0.0.1")
    for address in addresses("a", "one"):
        assert client.get(address).status_code == 200, address
    answer = client.post("/inspector/forget", data=fields(page(client, "forget", scope="a", id="one")))
    assert answer.status_code == 503
    assert "read-only" in answer.text


def test_a_receipt_in_json_is_the_library_s_own(browser, tea):
    text = page(browser, "forget", scope="alice", id="latest")
    answer = browser.post("/inspector/forget", data=fields(text), follow_redirects=False)
    told = json.loads(browser.get(answer.headers["location"] + "/json").text)
    assert {"message", "scope", "episodes", "ids", "records", "links", "answers", "rebuilt_systems", "at"} <= set(told)


def test_the_server_has_it_at_its_root(tmp_path):
    app = create_app(Settings(data=tmp_path / "data", embedder="hashing"))
    with TestClient(app, base_url="http://127.0.0.1:8700") as client:
        own = {"Origin": "http://127.0.0.1:8700"}
        said = {"scope": "acme/alice", "messages": "The ferry leaves at ten.", "id": "ferry"}
        assert client.post("/v1/episodes", json=said).status_code == 201
        assert "/inspector/timeline?scope=acme%2Falice" in client.get("/").text
        text = page(client, "search", scope="acme/alice", q="When does the ferry leave?")
        assert "The ferry leaves at ten." in text
        page(client, "queue", scope="acme/alice")
        sent = {"token": token(page(client, "queue", scope="acme/alice")), "scope": "acme/alice", "do": "consolidate"}
        assert "acme/alice" in client.post("/inspector/queue", data=sent, headers=own).text
        sent = fields(page(client, "forget", scope="acme/alice", id="ferry"))
        assert client.post("/inspector/forget", data=sent, headers={"Origin": "null"}).status_code == 403
        assert "1 episode forgotten" in client.post("/inspector/forget", data=sent, headers=own).text

        _, secret = app.state.server.keys.create("a reader", ["acme/alice"], ["read"])
        assert client.get("/inspector/timeline?scope=acme/alice", follow_redirects=False).status_code == 303
        answer = log_in(client, secret)
        assert answer.status_code == 303
        assert secret not in answer.headers["set-cookie"]
        assert page(client, "timeline", scope="acme/alice")
        page(client, "timeline", scope="acme", status=403)
        assert "inspector" not in json.dumps(client.get("/openapi.json").json()["paths"])


def test_a_file_that_cannot_be_opened_is_not_named_to_who_looks(tmp_path):
    app = create_app(Settings(data=tmp_path / "data", embedder="hashing"))
    with TestClient(app, base_url="http://127.0.0.1:8700") as client:
        app.state.server.tenants.path_of("acme").write_bytes(b"no database at all" * 1000)
        for name in PAGES:
            answer = client.get(f"/inspector/{name}", params={"scope": "acme/alice", "q": "tea"})
            assert str(tmp_path) not in answer.text, name
            assert answer.status_code == (200 if name == "queue" else 503), name
