"""Keys: a secret is shown once, kept nowhere, checked against every door, and revoked at once."""

import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from mnemic.clock import ManualClock
from mnemic.errors import InvalidScope, NotFound, ParameterError, StoreFull
from mnemic.serve.control import Control
from mnemic.serve.keys import NOTE_USE_EVERY, Keys


@pytest.fixture
def control(tmp_path: Path, clock: ManualClock):
    with Control(tmp_path / "server.db", clock) as control:
        yield control


@pytest.fixture
def keys(control):
    return Keys(control)


def test_a_new_key_opens_what_it_was_made_for(keys):
    key, secret = keys.create("tutor", ["acme", "beta/x"], {"read", "write"})
    found = keys.check(secret)
    assert (found.id, found.name, found.scopes, found.verbs) == (
        key.id,
        "tutor",
        ("acme", "beta/x"),
        {"read", "write"},
    )
    assert secret.startswith(f"mnk_{key.id}_")


def test_the_secret_stands_in_no_file(keys, control):
    _, secret = keys.create("tutor", [""], ["read"])
    noise = secret.rpartition("_")[2]
    for file in control.path.parent.iterdir():
        content = file.read_bytes()
        assert noise.encode() not in content
        assert bytes.fromhex(noise) not in content


def test_secrets_are_long_and_never_the_same(keys):
    made = [keys.create("one", ["a"], ["read"])[1] for _ in range(20)]
    assert len(set(made)) == 20
    assert all(len(one.rpartition("_")[2]) == 64 for one in made)  # 256 bits


@pytest.mark.parametrize(
    "change",
    [
        lambda secret: secret[:-1],
        lambda secret: secret + "0",
        lambda secret: secret.upper(),
        lambda secret: secret[:-1] + ("0" if secret[-1] != "0" else "1"),
        lambda secret: secret.replace("mnk_", "mnx_"),
        lambda secret: "mnk_" + "0" * 12 + "_" + secret.rpartition("_")[2],
        lambda secret: secret.rpartition("_")[2],
        lambda secret: "_".join(secret.split("_")[:2]) + "_",
        lambda secret: "mnk__",
        lambda secret: "",
        lambda secret: "ключ_\ud800_\0",
        lambda secret: "mnk_ж_\ud800",
    ],
)
def test_what_is_nearly_a_secret_opens_nothing(keys, change):
    _, secret = keys.create("one", ["a"], ["read"])
    assert keys.check(change(secret)) is None


def test_an_expired_key_opens_nothing_from_that_moment_on(keys, clock):
    _, secret = keys.create("one", ["a"], ["read"], clock.now() + timedelta(days=1))
    clock.advance(timedelta(days=1) - timedelta(microseconds=1))
    assert keys.check(secret) is not None
    clock.advance(timedelta(microseconds=1))
    assert keys.check(secret) is None
    assert keys.list()[0].state(clock.now()) == "expired"


def test_a_revoked_key_opens_nothing_and_stays_listed(keys, clock):
    key, secret = keys.create("one", ["a"], ["read"])
    first = keys.revoke(key.id)
    clock.advance(timedelta(days=1))
    assert keys.check(secret) is None
    assert keys.revoke(key.id) == first
    assert keys.list() == [first]


def test_a_key_revoked_by_another_process_is_refused_at_once(keys, control):
    key, secret = keys.create("one", ["a"], ["read"])
    assert keys.check(secret) is not None
    script = "import sys; from pathlib import Path; from mnemic.serve.control import Control\n"
    script += "from mnemic.serve.keys import Keys; Keys(Control(Path(sys.argv[1]))).revoke(sys.argv[2])"
    subprocess.run([sys.executable, "-c", script, str(control.path), key.id], check=True, timeout=60)
    assert keys.check(secret) is None


def test_where_a_key_was_ever_made_there_is_one_also_when_it_is_revoked(keys):
    assert not keys.any()
    key, _ = keys.create("one", ["a"], ["read"])
    keys.revoke(key.id)
    assert keys.any()


def test_an_unknown_id_is_not_found_and_the_remedy_named(keys):
    with pytest.raises(NotFound, match="mnemic keys list"):
        keys.revoke("nobody")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("", ["a"], ["read"]), ParameterError),
        (("a\nb", ["a"], ["read"]), ParameterError),
        (("x" * 201, ["a"], ["read"]), ParameterError),
        (("one", [], ["read"]), ParameterError),
        (("one", "acme", ["read"]), ParameterError),
        (("one", ["acme/"], ["read"]), InvalidScope),
        (("one", ["../b"], ["read"]), InvalidScope),
        (("one", ["a"], []), ParameterError),
        (("one", ["a"], ["read", "everything"]), ParameterError),
    ],
)
def test_what_no_key_can_be_made_of_is_refused_and_nothing_is_written(keys, arguments, error):
    with pytest.raises(error):
        keys.create(*arguments)
    assert keys.list() == []


def test_a_key_that_would_be_expired_already_is_refused(keys, clock):
    with pytest.raises(ParameterError, match="past"):
        keys.create("one", ["a"], ["read"], clock.now())


def test_last_use_is_noted_once_a_minute_and_kept(keys, control, clock):
    _, secret = keys.create("one", ["a"], ["read"])
    assert keys.list()[0].last_used_at is None
    first = clock.now()
    keys.check(secret)
    clock.advance(timedelta(seconds=30))
    keys.check(secret)
    assert Keys(control).list()[0].last_used_at == first
    clock.advance(NOTE_USE_EVERY)
    keys.check(secret)
    assert Keys(control).list()[0].last_used_at == clock.now()


def test_a_full_disk_locks_nobody_out(keys, control, monkeypatch):
    _, secret = keys.create("one", ["a"], ["read"])

    def full(job):
        raise StoreFull("The disk is full.")

    monkeypatch.setattr(control, "write", full)
    assert keys.check(secret) is not None


def test_neither_a_key_nor_its_listing_shows_anything_secret(keys):
    key, secret = keys.create("one", ["a"], ["read"])
    shown = repr(key) + str(key.to_dict()) + repr(keys.list())
    assert secret.rpartition("_")[2] not in shown
    assert "digest" not in shown


def test_many_threads_check_and_make_keys_at_once(keys):
    found = []

    def work() -> None:
        for _ in range(10):
            key, secret = keys.create("one", ["a"], ["read"])
            checked = keys.check(secret)
            found.append(checked is not None and checked.id == key.id)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 80
    assert len(keys.list()) == 80
