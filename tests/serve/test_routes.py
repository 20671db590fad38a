"""REST: every verb of the library, pages, entity tags, retries, streams and problems."""

import json

import pytest

from mnemic.model import new_id
from mnemic.serve import answers
from mnemic.wire import added_from, context_from, episode_from, recall_from, receipt_from

ALICE = {"scope": "acme/alice"}


@pytest.fixture
def add(client):
    def add(*texts, **fields):
        answer = client.post("/v1/episodes", json={**ALICE, "messages": list(texts), **fields})
        assert answer.status_code == 201, answer.text
        return added_from(answer.json())

    return add


def test_what_was_added_is_found_with_its_reasons_and_as_a_context_block(client, add):
    added = add("I moved to Porto in March.", "My cat is called Otto.", session="monday")
    answer = client.post("/v1/search", json={**ALICE, "query": "Who moved to Porto?", "limit": 1})
    recall = recall_from(answers.Recall.model_validate(answer.json()).model_dump())
    assert [hit.id for hit in recall] == [added.ids[0]]
    assert recall[0].reasons
    assert recall[0].episode == added.episodes[0]
    block = context_from(client.post("/v1/context", json={**ALICE, "query": "Porto", "budget_tokens": 200}).json())
    assert "I moved to Porto" in block
    assert block.citations[0].id == added.ids[0]


def test_user_ids_choose_the_scope_as_in_the_library(client):
    client.post("/v1/episodes", json={"scope": "acme", "user_id": "alice", "run_id": "r", "messages": "Porto is home."})
    found = client.get("/v1/episodes", params={"scope": "acme/user:alice"}).json()["episodes"]
    assert [(one["text"], one["session"]) for one in found] == [("Porto is home.", "r")]
    body = {"scope": "acme", "query": "Porto", "filters": {"user_id": "alice"}}
    assert len(client.post("/v1/search", json=body).json()["results"]) == 1
    client.post("/v1/episodes", json={"user_id": "bob", "messages": "A tenant of his own."})
    assert client.get("/v1/episodes", params={"user_id": "bob"}).json()["episodes"][0]["scope"] == "user:bob"


def test_a_listing_comes_in_pages_from_either_end(client, add):
    add(*(f"note {n}" for n in range(7)), session="s")
    for newest_first in (False, True):
        texts, cursor = [], None
        while True:
            given = {**ALICE, "limit": 3, "newest_first": newest_first} | ({"cursor": cursor} if cursor else {})
            page = client.get("/v1/episodes", params=given).json()
            texts += [one["text"] for one in page["episodes"]]
            if (cursor := page["next_cursor"]) is None:
                break
        assert texts == [f"note {n}" for n in (range(6, -1, -1) if newest_first else range(7))]
    assert client.get("/v1/episodes", params={**ALICE, "cursor": "nonsense"}).status_code == 422


def test_an_answer_that_is_known_is_not_sent_again(client, add):
    add("note")
    first = client.get("/v1/episodes", params=ALICE)
    again = client.get("/v1/episodes", params=ALICE, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    add("another")
    assert client.get("/v1/episodes", params=ALICE, headers={"If-None-Match": first.headers["etag"]}).status_code == 200


def test_a_request_with_an_idempotency_key_can_be_sent_twice(client):
    def send(text, key):
        return client.post("/v1/episodes", json={**ALICE, "messages": [text, text]}, headers={"Idempotency-Key": key})

    assert send("once", "k").json()["is_new"] == [True, True]
    assert send("once", "k").json()["is_new"] == [False, False]
    assert send("other", "k").status_code == 409
    assert client.get("/v1/stats", params=ALICE).json()["episodes"] == 2
    id = send("once", "k").json()["results"][0]["id"]
    for _ in range(2):
        answer = client.patch(f"/v1/episodes/{id}", json={**ALICE, "text": "twice"}, headers={"Idempotency-Key": "u"})
        assert answer.json()["text"] == "twice"
    assert client.get("/v1/stats", params=ALICE).json()["episodes"] == 3


def test_a_correction_is_refused_when_somebody_was_faster(client, add):
    id = add("nine").id
    read = client.get(f"/v1/episodes/{id}", params=ALICE)
    stale = client.patch(f"/v1/episodes/{id}", json={**ALICE, "text": "ten"}, headers={"If-Match": '"old"'})
    assert (stale.status_code, stale.json()["code"]) == (412, "EditConflict")
    fresh = {"If-Match": read.headers["etag"]}
    assert client.patch(f"/v1/episodes/{id}", json={**ALICE, "text": "ten"}, headers=fresh).status_code == 200
    late = client.patch(f"/v1/episodes/{id}", json={**ALICE, "text": "eleven"}, headers=fresh)
    assert (late.status_code, late.json()["code"]) == (409, "EditConflict")
    versions = client.get("/v1/history", params={**ALICE, "id": id}).json()["versions"]
    assert [one["episode"]["text"] for one in versions] == ["nine", "ten"]


@pytest.mark.parametrize("id", ["a/b", "what?", "50%", "ü", "a b", "../x", "history"])
def test_an_id_may_be_any_text(client, id):
    from urllib.parse import quote

    client.post("/v1/episodes", json={**ALICE, "messages": "named", "id": id})
    answer = client.get(f"/v1/episodes/{quote(id, safe='')}", params=ALICE)
    assert (answer.status_code, answer.json()["id"]) == (200, id)


def test_forgetting_says_what_would_go_and_then_lets_it_go(client, add):
    ids = add("one", "two", session="s").ids
    would = receipt_from(client.post("/v1/forget", json={**ALICE, "session": "s", "dry_run": True}).json())
    assert (would.is_dry_run, set(would.ids)) == (True, set(ids))
    did = receipt_from(client.post("/v1/forget", json={**ALICE, "session": "s"}).json())
    assert (did.is_dry_run, set(did.ids)) == (False, set(ids))
    assert client.get("/v1/episodes", params=ALICE).json()["episodes"] == []
    last = add("three").id
    assert client.delete(f"/v1/episodes/{last}", params=ALICE).json()["ids"] == [last]
    assert client.delete(f"/v1/episodes/{last}", params=ALICE).status_code == 404


def test_an_export_can_be_imported_elsewhere(client, add):
    added = add(*(f"note {n} ünïcode" for n in range(250)), session="s")
    exported = client.get("/v1/export", params={"scope": "acme"})
    assert exported.headers["content-type"].startswith("application/x-ndjson")
    done = client.post("/v1/import", params={"scope": "beta"}, content=exported.content).json()
    assert (done["added"], done["scopes"], done["problems"]) == (250, {"beta/alice": 250}, [])
    assert client.post("/v1/import", params={"scope": "beta"}, content=exported.content).json()["skipped"] == 250
    page = client.get("/v1/episodes", params={"scope": "beta/alice", "limit": 1}).json()["episodes"]
    assert episode_from(page[0]).text == added.episodes[0].text
    assert list(client.app.state.server.uploads.iterdir()) == []


def test_what_an_import_cannot_read_is_told_without_a_path_of_the_server(client):
    done = client.post("/v1/import", params={**ALICE, "format": "mnemic"}, content=b'{"type": "episode"}\n{broken')
    assert done.status_code in (200, 422)
    assert str(client.app.state.server.uploads) not in done.text
    assert client.post("/v1/import", params={**ALICE, "format": "x"}, content=b"").status_code == 422


def test_the_same_file_sent_twice_adds_nothing_and_another_one_adds_its_own(client):
    def send(said):
        body = json.dumps({"messages": [{"role": "user", "content": said}]}).encode()
        return client.post("/v1/import", params={**ALICE, "format": "openai"}, content=body).json()

    assert (send("one")["added"], send("one")["skipped"], send("two")["added"]) == (1, 1, 1)


def test_sessions_scopes_systems_and_numbers_are_told(client, add):
    add("one", session="monday")
    assert client.get("/v1/sessions", params=ALICE).json()["sessions"][0]["session"] == "monday"
    assert client.get("/v1/scopes").json()["scopes"] == [{"scope": "acme/alice", "episodes": 1}]
    assert client.get("/v1/scopes", params={"prefix": "acme"}).json()["scopes"][0]["episodes"] == 1
    assert client.get("/v1/scopes", params={"prefix": "acm"}).json()["scopes"] == []
    known = {one["id"]: one for one in client.get("/v1/systems", params=ALICE).json()["systems"]}
    assert known["bm25"]["attached"] is False
    put = client.put("/v1/systems/bm25", params=ALICE, json={})
    assert {one["id"] for one in put.json()["systems"] if one["attached"]} == {"bm25"}
    assert client.delete("/v1/systems/bm25", params=ALICE).status_code == 200
    assert client.put("/v1/systems/none", params=ALICE, json={}).status_code == 404
    assert client.get("/v1/stats", params=ALICE).json()["episodes"] == 1
    assert client.get("/v1/me").json()["verbs"] == ["admin", "forget", "read", "write"]


def test_asking_for_consolidation_gives_a_job_that_can_be_followed(client, add):
    add("one")
    answer = client.post("/v1/consolidate", json=ALICE)
    assert answer.status_code == 202
    job = client.get(answer.headers["location"]).json()
    assert (job["scope"], job["kind"]) == ("acme/alice", "consolidate")
    assert job["id"] in [one["id"] for one in client.get("/v1/jobs", params=ALICE).json()["jobs"]]
    assert client.get(f"/v1/jobs/{new_id()}").status_code == 404


def test_asking_a_tenant_that_is_not_there_finds_nothing_and_makes_no_file(client):
    nobody = {"scope": "nobody/x"}
    assert client.post("/v1/search", json={**nobody, "query": "x"}).json()["results"] == []
    assert client.get("/v1/episodes", params=nobody).json()["episodes"] == []
    assert client.post("/v1/forget", json={**nobody, "everything": True}).json()["episodes"] == 0
    assert client.post("/v1/episodes", json={**nobody, "messages": ""}).status_code == 422
    assert list(client.app.state.server.tenants.folder.iterdir()) == []


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("/v1/search", {"scope": "a//b", "query": "x"}, "InvalidScope"),
        ("/v1/search", {"scope": "a/../b", "query": "x"}, "InvalidScope"),
        ("/v1/search", {"scope": "a", "query": "x", "filters": {"n": {"gte": [1]}}}, "InvalidFilter"),
        ("/v1/search", {"scope": "a", "query": "x", "since": "soon"}, "InvalidTime"),
        ("/v1/search", {"scope": "a", "query": "x", "colour": "red"}, "ParameterError"),
        ("/v1/search", {"scope": "a", "query": "x", "system": "none"}, "SystemNotFound"),
        ("/v1/search", {"scope": "a"}, "ParameterError"),
        ("/v1/episodes", {"scope": "a", "messages": []}, None),
        ("/v1/episodes", {"scope": "a", "messages": [{"role": "user"}]}, "InvalidEpisode"),
        ("/v1/forget", {"scope": "a"}, "ParameterError"),
        ("/v1/forget", {"scope": "a", "id": "x"}, "EpisodeNotFound"),
    ],
)
def test_bad_input_is_a_problem_that_says_what_to_do(client, path, body, code):
    answer = client.post(path, json=body)
    if code is None:
        assert answer.status_code < 500
        return
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answers.Problem.model_validate(answer.json())
    assert (problem.code, problem.status) == (code, answer.status_code)
    assert problem.remedy


def test_a_body_that_is_too_large_or_not_json_is_refused(serve):
    client = serve(max_body_mb=0.01)
    assert client.post("/v1/search", content=b"x" * 20_000).status_code == 413
    assert client.post("/v1/search", content=iter([b"[" * 9_000] * 3)).status_code == 413
    for body in (b"{", b"[" * 5_000, b"\xff", b'{"query": "\\ud800"}', json.dumps("x").encode()):
        answer = client.post("/v1/search", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code in (400, 422), body[:20]
        assert answer.headers["content-type"] == "application/problem+json"


def test_health_is_told_without_a_key_and_metrics_name_no_memory(client, add):
    add("a secret garden")
    assert client.get("/healthz").json()["status"] == "ok"
    assert client.get("/readyz").json()["checks"] == {"control": "ok", "data": "ok", "embedder": "ok"}
    metrics = client.get("/metrics").text
    assert 'mnemic_operation_duration_seconds_count{operation="add",success="true"} 1' in metrics
    assert "acme" not in metrics


def test_what_a_form_brings_is_refused_and_says_how_to_send_it(client):
    answer = client.post("/v1/import", params=ALICE, files={"file": ("x.jsonl", b'{"role": "user", "content": "x"}')})
    assert (answer.status_code, "--data-binary" in answer.json()["remedy"]) == (415, True)
    assert "empty" in client.post("/v1/import", params=ALICE, content=b"").json()["detail"]
    assert list(client.app.state.server.tenants.folder.glob("*.db")) == []


def test_json_without_its_header_and_typos_are_told_as_what_they_are(client):
    said = client.post("/v1/search", content=b'{"query": "x"}').json()
    assert "Content-Type: application/json" in said["remedy"]
    assert client.post("/v1/search", json={"quary": "x"}).json()["detail"].startswith("body.quary")
    broken = client.post("/v1/search", content=b'{"query": }', headers={"Content-Type": "application/json"}).json()
    assert "character 10" in broken["detail"]


def test_the_root_and_all_below_it_is_refused_where_there_are_tenants(client, add):
    add("note")
    for method, path, given in (
        ("GET", "/v1/export", {}),
        ("POST", "/v1/forget", {"json": {"everything": True, "include_children": True}}),
        ("POST", "/v1/search", {"json": {"query": "note", "include_children": True}}),
        ("GET", "/v1/records", {"params": {"include_children": True}}),
    ):
        answer = client.request(method, path, **given)
        assert (answer.status_code, "Name a tenant" in answer.text) == (422, True), path
    assert client.get("/v1/export", params={"include_children": False}).status_code == 200


def test_who_asks_for_the_head_alone_gets_it(client):
    answer = client.head("/healthz")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert [client.get("/nope").json()["code"], client.put("/healthz").json()["code"]] == [
        "NoSuchPath",
        "MethodNotAllowed",
    ]


def test_a_recall_that_takes_long_holds_up_no_other(client, add):
    add("I moved to Porto.")
    with client.app.state.server._turn:  # somebody's index is being built
        answer = client.post("/v1/search", json={**ALICE, "query": "Porto"})
    assert len(answer.json()["results"]) == 1


def test_a_folder_that_is_there_keeps_the_rights_that_it_has(serve, tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o750)
    serve(shared)
    assert shared.stat().st_mode & 0o777 == 0o750
