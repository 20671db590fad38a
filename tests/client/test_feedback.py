"""Feedback through a server: checked where the memory is, and told as the library tells it."""

import pytest

from mnemic.errors import EpisodeNotFound


def test_feedback_is_kept_for_what_is_there_and_refused_for_an_id_that_names_nothing(client, tenant):
    alice = client.scope(tenant)
    alice.add("I drink green tea.", id="tea")
    assert alice.feedback(alice.search("tea")[0].id, "helpful").role == "feedback"
    with pytest.raises(EpisodeNotFound, match=r"'nothing' is neither an episode nor a record.*Nothing was written"):
        alice.feedback(["tea", "nothing"], "used")
    assert len(alice.list()) == 2


def test_over_http_it_is_not_found_with_the_remedy(client, url, tenant):
    import httpx

    client.scope(tenant).add("tea", id="tea")
    said = {"role": "feedback", "content": "used", "metadata": {"feedback": {"ids": ["nothing"], "verdict": "used"}}}
    answered = httpx.post(f"{url}/v1/episodes", json={"scope": tenant, "messages": [said]})
    assert (answered.status_code, answered.json()["code"]) == (404, "EpisodeNotFound")
    assert "search again" in answered.json()["remedy"]
