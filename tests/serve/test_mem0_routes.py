"""What speaks to mem0's own server can speak to this one."""

from tests.serve.conftest import key


def test_a_memory_lives_its_life_over_mem0s_routes(client):
    messages = [{"role": "user", "content": "I am allergic to nuts."}, {"role": "assistant", "content": "Noted."}]
    added = client.post(
        "/memories", json={"messages": messages, "user_id": "alice", "metadata": {"topic": "food"}}
    ).json()
    id = added["results"][0]["id"]
    assert [one["event"] for one in added["results"]] == ["ADD", "ADD"]
    found = client.post("/search", json={"query": "allergic to what?", "user_id": "alice", "top_k": 1}).json()[
        "results"
    ]
    assert (found[0]["id"], found[0]["memory"], found[0]["user_id"]) == (id, "I am allergic to nuts.", "alice")
    filtered = {"query": "allergic", "filters": {"user_id": "alice", "topic": "food"}}
    assert client.post("/search", json=filtered).json()["results"][0]["id"] == id
    assert client.put(f"/memories/{id}", json={"text": "I am allergic to peanuts."}).status_code == 200
    assert client.get(f"/memories/{id}").json()["memory"] == "I am allergic to peanuts."
    texts = [one["new_memory"] for one in client.get(f"/memories/{id}/history").json()]
    assert texts == ["I am allergic to nuts.", "I am allergic to peanuts."]
    assert len(client.get("/memories", params={"user_id": "alice"}).json()["results"]) == 2
    assert client.get("/memories", params={"user_id": "bob"}).json()["results"] == []
    assert client.delete(f"/memories/{id}").status_code == 200
    assert client.get(f"/memories/{id}").json() is None
    assert client.delete("/memories", params={"user_id": "alice"}).status_code == 200
    assert client.get("/memories", params={"user_id": "alice"}).json()["results"] == []


def test_without_an_id_nothing_is_done_and_the_answer_says_why(client):
    for answer in (
        client.post("/memories", json={"messages": "x"}),
        client.delete("/memories"),
        client.get("/memories"),
        client.post("/search", json={"query": "x"}),
    ):
        assert answer.status_code == 422, answer.text
        assert "user_id" in answer.json()["detail"]
    assert list(client.app.state.server.tenants.folder.glob("*.db")) == []


def test_two_keys_do_not_see_each_others_memories(client):
    acme, beta = key(client, "acme"), key(client, "beta")
    made = client.post("/memories", json={"messages": "a secret", "user_id": "alice"}, headers=acme).json()["results"][
        0
    ]
    assert client.get(f"/memories/{made['id']}", headers=beta).json() is None
    assert client.get("/memories", params={"user_id": "alice"}, headers=beta).json()["results"] == []
    assert client.get(f"/memories/{made['id']}", headers={**beta, "X-Mnemic-Scope": "acme"}).status_code == 403
    assert client.get(f"/memories/{made['id']}", headers=acme).json()["memory"] == "a secret"
