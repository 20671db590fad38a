"""Every way in, MCP and the inspector among them: none leads to another scope, and none tells what is there."""

import importlib.util
import json
import re
import time
from base64 import urlsafe_b64encode

import pytest
from tests.serve.conftest import ADDRESS, key

from mnemic.serve.guard import _name
from mnemic.serve.logins import Logins
from mnemic.serve.routes.answer import etag_of

HIDDEN = "the door code is 4417"
MCP = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-06-18"}


@pytest.fixture
def guarded(client):
    """A server with a secret in acme/alice and in beta, and a key that reaches only acme/bob."""
    client.post("/v1/episodes", json={"scope": "acme/alice", "messages": HIDDEN, "id": "secret", "session": "s"})
    client.post("/v1/episodes", json={"scope": "beta", "messages": HIDDEN, "id": "secret", "session": "s"})
    client.post("/v1/episodes", json={"scope": "acme/bob", "messages": "Bob has a boat.", "id": "own"})
    return client, key(client, "acme/bob", verbs="read write forget admin")


def everywhere(client):
    """What each scope holds, as one who may read all sees it."""
    admin = key(client, "")
    return {
        scope: [
            one["text"] for one in client.get("/v1/episodes", params={"scope": scope}, headers=admin).json()["episodes"]
        ]
        for scope in ("acme/alice", "beta")
    }


# -- REST -----------------------------------------------------------------------------------------------------


def test_a_job_of_another_is_as_one_that_is_not_there(guarded):
    client, bobs = guarded
    alices = client.post("/v1/consolidate", json={"scope": "acme/alice"}, headers=key(client, "acme/alice")).json()[
        "id"
    ]
    nobodys = "0" * len(alices)
    for method, path in (("GET", "/v1/jobs/{}"), ("DELETE", "/v1/jobs/{}"), ("POST", "/v1/jobs/{}/retry")):
        theirs, none = (client.request(method, path.format(id), headers=bobs) for id in (alices, nobodys))
        assert (theirs.status_code, theirs.text.replace(alices, nobodys)) == (none.status_code, none.text)
        assert theirs.status_code == 404


def test_an_episode_of_another_scope_is_as_one_that_is_not_there(guarded):
    client, bobs = guarded
    at = {"scope": "acme/bob"}
    for method, path, given in (
        ("GET", "/v1/episodes/{}", {"params": at}),
        ("DELETE", "/v1/episodes/{}", {"params": at}),
        ("PATCH", "/v1/episodes/{}", {"json": at | {"text": "x"}}),
        ("GET", "/v1/history?id={}&scope=acme/bob", {}),
    ):
        theirs, none = (client.request(method, path.format(id), headers=bobs, **given) for id in ("secret", "nobody"))
        assert (theirs.status_code, theirs.text.replace("secret", "nobody")) == (none.status_code, none.text)
    why = {"scope": "acme/bob", "query": "door code", "text_or_id": "secret"}
    assert HIDDEN not in client.post("/v1/why-not", json=why, headers=bobs).text


def test_the_same_id_and_idempotency_key_mean_another_memory_in_each_scope(guarded):
    client, bobs = guarded
    told = client.post("/v1/episodes", json={"scope": "acme/bob", "messages": "mine", "id": "secret"}, headers=bobs)
    assert (told.status_code, told.json()["is_new"]) == (201, [True])
    sent = {"Idempotency-Key": "k"}
    for scope in ("acme/alice", "acme/bob"):
        answer = client.post(
            "/v1/episodes", json={"scope": scope, "messages": f"of {scope}"}, headers=key(client, scope) | sent
        )
        assert (answer.status_code, answer.json()["is_new"]) == (201, [True])


def test_a_cursor_leads_nowhere_but_on_in_the_scope_that_is_asked(guarded):
    client, bobs = guarded
    first = client.get("/v1/episodes", params={"scope": "acme/alice", "limit": 1}, headers=key(client, "acme/alice"))
    strange = [urlsafe_b64encode(json.dumps(one).encode()).decode() for one in ("acme/alice", "beta", "", 0, 10**30)]
    for cursor in [first.json()["next_cursor"], *strange]:
        for path in ("/v1/episodes", "/v1/sessions", "/v1/records?system=bm25", "/v1/scopes", "/v1/jobs"):
            for newest_first in (False, True):
                given = {"cursor": cursor, "newest_first": newest_first} | (
                    {} if path in ("/v1/scopes", "/v1/jobs") else {"scope": "acme/bob"}
                )
                answer = client.get(path, params=given, headers=bobs)
                assert answer.status_code in (200, 422), (path, cursor)
                assert HIDDEN not in answer.text
                assert "alice" not in answer.text
                assert "beta" not in answer.text


def test_an_entity_tag_tells_nothing_to_who_may_not_read(guarded):
    client, _ = guarded
    secret = client.get("/v1/episodes/secret", params={"scope": "acme/alice"}, headers=key(client, "acme/alice"))
    tag = secret.headers["etag"]
    assert tag == etag_of(secret.content)
    for headers in (key(client, "acme/bob"), key(client, "acme/alice", verbs="write")):
        for sent in ({"If-None-Match": tag}, {"If-None-Match": "*"}, {"If-None-Match": '"x"'}):
            answer = client.get("/v1/episodes/secret", params={"scope": "acme/alice"}, headers=headers | sent)
            assert answer.status_code == 403
        for sent in (tag, '"x"'):
            body = {"scope": "acme/alice", "text": "y"}
            answer = client.patch("/v1/episodes/secret", json=body, headers=headers | {"If-Match": sent})
            assert answer.status_code == 403


def test_who_may_only_write_reads_nothing_by_correcting(guarded):
    client, _ = guarded
    alices = key(client, "acme/alice")
    body = {"scope": "acme/alice", "messages": {"content": HIDDEN, "name": "Carol", "metadata": {"pin": 77}}, "id": "m"}
    client.post("/v1/episodes", json=body, headers=alices)
    writer = key(client, "acme/alice", verbs="write")
    for change in ({"metadata": {}}, {"occurred_at": "2024-01-01"}, {}):
        answer = client.patch("/v1/episodes/m", json={"scope": "acme/alice", **change}, headers=writer)
        assert answer.status_code == 403
        assert HIDDEN not in answer.text
    answer = client.patch("/v1/episodes/m", json={"scope": "acme/alice", "text": "moved"}, headers=writer)
    assert (answer.status_code, answer.json()["text"]) == (200, "moved")
    assert "Carol" not in answer.text
    assert "pin" not in answer.json().get("metadata", {})
    kept = client.get(f"/v1/episodes/{answer.json()['id']}", params={"scope": "acme/alice"}, headers=alices).json()
    assert (kept["actor"], kept["metadata"]) == ("Carol", {"pin": 77})


def test_an_import_writes_nowhere_but_below_its_scope(guarded):
    client, bobs = guarded
    before = everywhere(client)
    head = {"format": "mnemic-jsonl", "type": "header", "version": 1}
    exported = client.get("/v1/export", params={"scope": "acme/bob"}, headers=bobs).text.splitlines()
    for scope in ("acme/alice", "../alice", "/acme/alice", "..", "acme/bob/../alice", "beta", "", ".", "a/../../alice"):
        line = json.loads(exported[-1]) | {"scope": scope, "id": f"smuggled-{scope}", "text": "smuggled"}
        head = json.loads(exported[0])
        for sent in (head, head | {"scope": scope}, head | {"scope": ""}):
            body = f"{json.dumps(sent)}\n{json.dumps(line)}\n".encode()
            answer = client.post(
                "/v1/import", params={"scope": "acme/bob", "format": "mnemic"}, content=body, headers=bobs
            )
            assert answer.status_code in (200, 422)
            for one in answer.json().get("scopes", {}):
                assert one == "acme/bob" or one.startswith("acme/bob/")
    assert everywhere(client) == before
    reached = client.get("/v1/scopes", headers=key(client, "")).json()["scopes"]
    assert {one["scope"].split("/")[0] for one in reached} == {"acme", "beta"}


def test_an_export_that_is_dropped_gives_its_lease_back(guarded):
    client, _ = guarded
    admin = key(client, "")
    client.post("/v1/episodes", json={"scope": "acme/bob", "messages": ["x" * 2000] * 800}, headers=admin)
    with client.stream("GET", "/v1/export", params={"scope": "acme"}, headers=admin) as answer:
        next(answer.iter_bytes())
    tenants, ends_at = client.app.state.server.tenants, time.monotonic() + 10
    while any(one.leases for one in tenants._table.values()):
        assert time.monotonic() < ends_at
        time.sleep(0.01)


def test_a_broken_file_is_told_without_its_path(guarded):
    client, _ = guarded
    server, admin = client.app.state.server, key(client, "")
    server.tenants.path_of("delta").write_bytes(b"no database at all" * 1000)
    answer = client.get("/v1/episodes", params={"scope": "delta"}, headers=admin)
    assert (answer.status_code, answer.json()["code"]) == (503, "NotAStore")
    assert str(server.settings.data) not in answer.text
    if importlib.util.find_spec("mcp"):
        told = call(client, admin | {"X-Mnemic-Scope": "delta"}, "search_memories", {"query": "x"})
        assert told.json()["result"]["isError"] is True
        assert str(server.settings.data) not in told.text


# -- MCP ------------------------------------------------------------------------------------------------------


def rpc(client, headers, method, params=None, query=""):
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {}}
    return client.post(f"/mcp{query}", json=body, headers=MCP | headers)


def call(client, headers, tool, arguments, query=""):
    return rpc(client, headers, "tools/call", {"name": tool, "arguments": arguments}, query)


@pytest.fixture
def with_mcp():
    pytest.importorskip("mcp", reason="needs the extra 'mcp'")


@pytest.mark.usefixtures("with_mcp")
@pytest.mark.parametrize("scope", ["acme/alice", "acme", "", "beta", "acme/bob/../alice", "acme/bobby", "ACME/bob"])
def test_a_scope_in_a_header_or_the_address_is_one_that_the_key_reaches(guarded, scope):
    client, bobs = guarded
    for headers, query in (({"X-Mnemic-Scope": scope}, ""), ({}, f"?scope={scope}")):
        answer = call(client, bobs | headers, "search_memories", {"query": "door code"}, query)
        assert HIDDEN not in answer.text
        # an empty header is none, and then the key's own scope is meant
        assert answer.status_code in ((200, 403) if scope == "" else (403, 422))


@pytest.mark.usefixtures("with_mcp")
def test_no_argument_of_a_tool_leads_out_of_the_scope(guarded):
    client, bobs = guarded
    before = everywhere(client)
    tools = rpc(client, bobs, "tools/list", query="?tools=all").json()["result"]["tools"]
    out = {
        "scope": "acme/alice",
        "user_id": "../alice",
        "agent_id": "alice",
        "app_id": "alice",
        "run_id": "s",
        "tenant": "beta",
        "namespace": "acme/alice",
        "path": "../../t-beta.db",
    }
    for tool in tools:
        base = {}
        for name in tool["inputSchema"].get("required", []):
            kind = tool["inputSchema"]["properties"][name].get("type")
            base[name] = {"array": ["secret"], "object": {}, "boolean": True}.get(kind, "secret")
        attempts = [base, *({**base, name: value} for name, value in out.items())]
        attempts += [{**base, "filters": {name: value}} for name, value in out.items()]
        attempts += [{**base, "filters": {"OR": [{"user_id": "alice"}, {"user_id": {"ne": "x"}}]}, "session": "s"}]
        for arguments in attempts:
            answer = call(client, bobs, tool["name"], arguments, "?tools=all")
            assert answer.status_code == 200
            assert HIDDEN not in answer.text, (tool["name"], arguments)
    assert everywhere(client) == before


@pytest.mark.usefixtures("with_mcp")
@pytest.mark.parametrize(
    "uri",
    [
        "memory://sessions/s",
        "memory://sessions/..%2Falice%2Fs",
        "memory://acme/alice",
        "memory://sessions/../../alice/sessions/s",
        "memory:///acme/alice/summary",
        "file:///etc/passwd",
        "memory://sessions/%2e%2e",
        "memory://summary?scope=acme/alice",
        "memory://summary#acme/alice",
    ],
)
def test_no_address_of_a_resource_leads_out_of_the_scope(guarded, uri):
    client, bobs = guarded
    answer = rpc(client, bobs, "resources/read", {"uri": uri})
    assert HIDDEN not in answer.text
    assert "root:" not in answer.text


@pytest.mark.usefixtures("with_mcp")
def test_over_mcp_a_key_does_only_what_its_verbs_allow_and_a_stranger_nothing(guarded):
    client, _ = guarded
    reader = key(client, "acme/alice", verbs="read")
    tools = {one["name"] for one in rpc(client, reader, "tools/list").json()["result"]["tools"]}
    assert tools == {"search_memories", "get_memory", "recent"}
    for tool, arguments in (
        ("add_memory", {"content": "x"}),
        ("delete_memory", {"id": "secret"}),
        ("forget", {"everything": True, "confirm": True}),
        ("update_memory", {"id": "secret", "content": "y"}),
    ):
        answer = call(client, reader, tool, arguments)
        assert answer.json()["result"]["isError"] is True
    writer = key(client, "acme/alice", verbs="write")
    assert HIDDEN not in call(client, writer, "search_memories", {"query": "door code"}).text
    assert HIDDEN not in call(client, writer, "update_memory", {"id": "secret", "metadata": {}}).text
    assert HIDDEN not in rpc(client, writer, "resources/read", {"uri": "memory://summary"}).text
    for headers in ({}, {"Authorization": "Bearer mnk_x_y"}, {"X-Mnemic-Scope": "acme/alice"}):
        assert call(client, headers, "search_memories", {"query": "x"}).status_code == 401
    for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"}):
        assert call(client, reader | headers, "search_memories", {"query": "x"}).status_code == 403
    assert call(client, reader | {"Host": "evil.example"}, "search_memories", {"query": "x"}).status_code == 421
    assert everywhere(client) == {"acme/alice": [HIDDEN], "beta": [HIDDEN]}


@pytest.mark.usefixtures("with_mcp")
def test_a_key_that_was_revoked_ends_mcp_at_once(guarded):
    client, _ = guarded
    made, secret = client.app.state.server.keys.create("short", ["acme"], ["read"])
    headers = {"X-API-Key": secret}
    assert rpc(client, headers, "tools/list").status_code == 200
    client.app.state.server.keys.revoke(made.id)
    assert rpc(client, headers, "tools/list").status_code == 401


# -- the inspector --------------------------------------------------------------------------------------------


def token_in(page):
    return re.search(r'name="token"\s+value="([0-9a-f]+)"', page.text)[1]


def log_in(client, *scopes, verbs="read write forget", next=None):
    """Log in with a new key; what the login answered."""
    secret = key(client, *scopes, verbs=verbs)["Authorization"].removeprefix("Bearer ")
    client.cookies.clear()
    page = client.get("/inspector/login", params={"next": next} if next else {})
    form = {"key": secret, "token": token_in(page)} | ({"next": next} if next else {})
    return client.post("/inspector/login", data=form, headers={"Origin": ADDRESS}, follow_redirects=False)


def test_nothing_of_another_scope_stands_on_any_page(guarded):
    client, _ = guarded
    assert log_in(client, "acme/bob").status_code == 303
    pages = [route.path for route in client.app.routes if getattr(route, "path", "").startswith("/inspector")]
    pages = {re.sub(r"\{\w+(:path)?\}", "secret", one) for one in pages} | {"/"}
    for path in sorted(pages):
        for scope in ("acme/alice", "acme", "", "beta", "acme/bob"):
            for more in ({}, {"q": "door code", "id": "secret", "session": "s", "query": "door code"}):
                answer = client.get(path, params={"scope": scope, **more}, follow_redirects=False)
                assert answer.status_code < 500, path
                assert HIDDEN not in answer.text, (path, scope)
                if scope == "acme/bob":  # no listing names the others either
                    assert "alice" not in answer.text
                    assert "beta" not in answer.text


def test_a_login_is_a_new_session_each_time_and_ends_with_logging_out(guarded):
    client, _ = guarded
    client.get("/inspector/login")
    client.cookies.set(Logins.COOKIE, "chosen-by-somebody-else")
    entered = log_in(client, "acme/bob")
    session = client.cookies[Logins.COOKIE]
    assert session != "chosen-by-somebody-else"
    sent = entered.headers["set-cookie"].lower()
    assert "httponly" in sent
    assert "samesite=strict" in sent
    page = client.get("/", params={"scope": "acme/bob"})
    assert page.headers["cache-control"] == "no-store"
    left = client.post(
        "/inspector/logout", data={"token": token_in(page)}, headers={"Origin": ADDRESS}, follow_redirects=False
    )
    assert left.status_code == 303
    client.cookies.set(Logins.COOKIE, session)  # also for who kept it
    assert client.get("/v1/me").status_code == 401
    assert client.get("/", follow_redirects=False).status_code == 303


def test_a_session_ends_with_its_key_and_does_no_more_than_it(guarded):
    client, _ = guarded
    log_in(client, "acme/bob", verbs="read")
    assert client.get("/v1/me").json()["verbs"] == ["read"]
    assert client.post("/v1/episodes", json={"scope": "acme/bob", "messages": "x"}).status_code == 403
    id = client.get("/v1/me").json()["key_id"]
    client.app.state.server.keys.revoke(id)
    assert client.get("/v1/me").status_code == 401


def test_a_page_elsewhere_can_use_no_session(guarded):
    client, _ = guarded
    log_in(client, "acme/bob")
    body = {"scope": "acme/bob", "everything": True}
    for origin in (
        "http://evil.example",
        "null",
        "http://127.0.0.1:9999",
        "http://[::1",
        "https://127.0.0.1:8700.evil",
    ):
        assert client.post("/v1/forget", json=body, headers={"Origin": origin}).status_code == 403
        sent = {"Origin": origin, "Content-Type": "text/plain"}
        assert client.post("/v1/forget", content=json.dumps(body), headers=sent).status_code == 403
        assert client.post("/inspector/logout", data={}, headers={"Origin": origin}).status_code == 403
    assert client.get("/v1/me").status_code == 200
    assert client.post("/inspector/logout", data={"token": "x"}, headers={"Origin": ADDRESS}).status_code == 403
    answer = client.get("/v1/export", params={"scope": "acme/bob"}, headers={"Origin": "http://evil.example"})
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "/\t/evil.example",
        "/\r\nSet-Cookie: x=1",
        "http:evil.example",
        "///evil.example",
        "/%2f/evil.example/..//",
        "?next=//evil",
        " //evil.example",
    ],
)
def test_a_login_leads_nowhere_else(guarded, target):
    client, _ = guarded
    entered = log_in(client, "acme/bob", next=target)
    assert entered.status_code == 303
    where = entered.headers["location"]
    assert where.startswith("/")
    assert where[1:2] not in ("/", "\\")
    assert "set-cookie: x" not in str(entered.headers).lower()


def test_the_queue_tells_nothing_of_the_jobs_of_others(guarded):
    client, _ = guarded
    alices = client.post("/v1/consolidate", json={"scope": "acme/alice"}, headers=key(client, "acme/alice")).json()[
        "id"
    ]
    log_in(client, "acme/bob")
    token = token_in(client.get("/inspector/queue", params={"scope": "acme/bob"}))
    for do in ("retry", "cancel"):
        theirs, none = (
            client.post(
                "/inspector/queue",
                data={"do": do, "job": id, "scope": "acme/bob", "token": token},
                headers={"Origin": ADDRESS},
                follow_redirects=False,
            )
            for id in (alices, "0" * len(alices))
        )
        assert theirs.status_code == none.status_code == 404
        assert "alice" not in theirs.text


# -- names and origins ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1:8700", "localhost", "LOCALHOST:1", "[::1]:8700", "[::1]"])
def test_names_of_this_machine_are_known(client, host):
    assert client.get("/v1/me", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "localhost:80@evil.example",
        "127.0.0.1@evil.example",
        "[::1].evil.example",
        "[::1",
        "::1",
        "127.0.0.2",
        "127.1",
        "0.0.0.0",
        "localhost.",
        "localhost:x",
        "[::ffff:127.0.0.1]",
        "[fe80::1]:8700",
    ],
)
def test_names_that_are_not_this_machines_are_refused(client, host):
    for more in ({}, {"X-Forwarded-Host": "localhost"}, {"Forwarded": "host=localhost"}):
        assert client.get("/v1/me", headers={"Host": host, **more}).status_code == 421


def test_two_names_or_origins_at_once_are_refused(client):
    twice = [("Host", "localhost"), ("Host", "localhost")]
    assert client.get("/v1/me", headers=twice).status_code == 421
    body = {"scope": "a", "query": "x"}
    for other in ("http://evil.example", "null", ADDRESS + "0"):
        for origins in ([ADDRESS, other], [other, ADDRESS]):
            headers = [("Origin", one) for one in origins]
            assert client.post("/v1/search", json=body, headers=headers).status_code == 403


def test_a_server_that_was_told_its_name_answers_to_it_alone(serve):
    client = serve(host="0.0.0.0", allow_hosts=("Memory.example", "fe80::1"))
    for host in ("memory.example", "MEMORY.example:8700", "[fe80::1]:8700"):
        assert client.get("/healthz", headers={"Host": host}).status_code == 200
    assert client.get("/healthz", headers={"Host": "memory.example.evil"}).status_code == 421


def test_the_name_in_a_host_header_is_read_as_a_browser_would():
    said = {"a:1": "a", "a": "a", "[::1]:1": "[::1]", "a:b": "", "a:1:2": "", "": "", ":1": "", "a/b": "", "a b": ""}
    assert {host: _name(host) for host in said} == said


def test_callers_have_a_bucket_each(serve):
    client = serve(rate_per_s=0.001, burst=3)
    one, other = key(client, "a"), key(client, "b")
    assert [client.get("/v1/me", headers=one).status_code for _ in range(4)] == [200, 200, 200, 429]
    for trick in ({"X-Forwarded-For": "1.2.3.4"}, {"X-API-Key": "mnk_x_y"}):
        assert client.get("/v1/me", headers=one | trick).status_code == 429
    assert client.get("/v1/me", headers=other).status_code == 200


# -- mem0's own routes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("scope", [None, "acme/alice", "acme", "beta", "acme/bob/../alice", "acme/bobby"])
@pytest.mark.parametrize("user", ["alice", "../alice", "../../beta", "x/../../alice", "secret", "*"])
def test_the_routes_of_mem0_lead_to_no_other_scope(guarded, scope, user):
    client, bobs = guarded
    before = everywhere(client)
    headers = bobs | ({} if scope is None else {"X-Mnemic-Scope": scope})
    ids = {"user_id": user, "agent_id": "alice"}
    for method, path, given in (
        ("GET", "/memories", {"params": ids}),
        ("GET", "/memories", {}),
        ("GET", "/memories/secret", {}),
        ("GET", "/memories/secret/history", {}),
        ("PUT", "/memories/secret", {"json": {"text": "y"}}),
        ("DELETE", "/memories/secret", {}),
        ("DELETE", "/memories", {"params": ids}),
        ("DELETE", "/memories", {}),
        ("POST", "/memories", {"json": {"messages": "planted", **ids}}),
        ("POST", "/search", {"json": {"query": "door code", "filters": {"OR": [{"user_id": user}]}}}),
        ("POST", "/search", {"json": {"query": "door code", "filters": {"AND": [ids, {"app_id": "alice"}]}}}),
        ("POST", "/search", {"json": {"query": "door code", **ids}}),
    ):
        answer = client.request(method, path, headers=headers, **given)
        assert answer.status_code in ((200, 201, 404, 422) if scope is None else (403, 422)), (
            method,
            path,
            answer.text,
        )
        assert HIDDEN not in answer.text
    assert everywhere(client) == before
