"""A process that is killed while it works: what it had acknowledged is there, and nothing is there by half."""

import random
import time
from pathlib import Path

import numpy as np
import pytest

from index.world import contents
from mnemic.index.files import IndexFiles
from mnemic.index.library import IndexLibrary
from mnemic.index.scope_index import ScopeIndex
from mnemic.memory.reindex import reindex
from mnemic.models.hashing import HashingEmbedder
from mnemic.store.sqlite import SqliteStore

from .processes import go, line, start
from .world import START, entry, vector

# each text says its number, and the first and last number of its batch
WRITER = """
import random
draw = random.Random(int(sys.argv[2]))
store = SqliteStore(path)
n = store.counts()["episodes"]
say("open")
wait()
while True:
    size = draw.choice([1, 1, 1, 2, 7, 40])
    batch = [
        entry(f"{i} {n} {n + size - 1} " + "x" * draw.choice([0, 50, 9000]), id=str(i), vector=bytes(768))
        for i in range(n, n + size)
    ]
    store.append(batch)
    n += size
    say(n)
    if draw.random() < 0.05:
        store._database.checkpoint()
"""


def killed(script: str, path: Path, draw: random.Random, *arguments: object, lines: int, wait_s: float) -> list[str]:
    """What a script said until it was killed: some time after so many lines."""
    process = start(script, path, *arguments)
    assert line(process) == "open"
    go(process)
    said = [line(process) for _ in range(draw.randrange(lines))]
    time.sleep(draw.random() * wait_s)  # the one wait that is meant: any moment is to be possible
    process.kill()
    assert process.stdout is not None
    said += [one for one in process.stdout.read().splitlines(keepends=True) if one.endswith("\n")]
    process.communicate()
    return [one.strip() for one in said]


def check_log(store: SqliteStore, acknowledged: int) -> int:
    """Every acknowledged episode is there, in order, in whole batches; how many there are."""
    found = [tuple(map(int, one.text.split()[:3])) for one in store.scan("a", limit=10**6)]
    assert [number for number, _, _ in found] == list(range(len(found)))
    assert len(found) >= acknowledged
    assert all(0 <= first <= last < len(found) for _, first, last in found)
    assert store.integrity() == []
    return len(found)


def check_killed_writers(path: Path, seed: int, kills: int) -> None:
    draw = random.Random(seed)
    indexed = 0
    index = ScopeIndex(384)
    for _ in range(kills):
        said = killed(WRITER, path, draw, draw.randrange(10**6), lines=12, wait_s=0.02)
        store = SqliteStore(path)
        n = check_log(store, int(said[-1]) if said else 0)
        if n:
            scope = store.scope_ids("a")
            index = index.clone()
            index.extend(store.index_rows(scope, after=index.last_seq))  # one that has lived through the crashes
            fresh = IndexLibrary(store, 384, None).of(scope)
            assert contents(index) == contents(fresh)
        assert n >= indexed
        indexed = n
        store.close()


@pytest.mark.parametrize("seed", range(4))
def test_a_killed_writer_leaves_all_it_acknowledged_and_no_half_batch(tmp_path: Path, seed: int) -> None:
    check_killed_writers(tmp_path / "memory.db", seed, kills=3)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4, 54))
def test_a_writer_killed_two_hundred_times_leaves_all_it_acknowledged(tmp_path: Path, seed: int) -> None:
    check_killed_writers(tmp_path / "memory.db", seed, kills=4)


FORGETTER = """
store = SqliteStore(path)
say("open")
wait()
seqs = [one.seq for one in store.scan("a")]
for at in range(0, len(seqs), 5):
    store.remove("a", seqs[at : at + 5], at=START)
    say(*seqs[at : at + 5])
    while not store.scrub():
        pass
    say("clean")
"""


def check_killed_forgetter(folder: Path, seed: int) -> None:
    path, draw = folder / "memory.db", random.Random(seed)
    words = {n: f"word{n:05}qzx" for n in range(1, 151)}
    store = SqliteStore(path)
    store.append([entry(f"{word} " * draw.choice([1, 30, 900]), id=word, vector=bytes(64)) for word in words.values()])
    store.close()
    said = killed(FORGETTER, path, draw, lines=40, wait_s=0.01)
    gone = {int(seq) for one in said if one != "clean" for seq in one.split()}
    store = SqliteStore(path)
    kept = {one.seq for one in store.scan("a", limit=1000)}
    also = set(words) - kept - gone  # of a removal that was committed and not yet acknowledged
    assert not kept & gone
    assert also in (set(), set(range(max(gone, default=0) + 1, max(gone, default=0) + 6)))
    assert store.removed_seqs(store.scope_ids("a"))[1] == sorted(set(words) - kept)
    assert (store.integrity(), store.counts("a")["episodes"]) == ([], len(kept))
    assert store.scrub()
    store.close()
    assert {seq for seq, word in words.items() if word.encode() in path.read_bytes()} == kept


@pytest.mark.parametrize("seed", range(3))
def test_forgetting_that_is_killed_is_done_wholly_or_not_at_all(tmp_path: Path, seed: int) -> None:
    check_killed_forgetter(tmp_path, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3, 40))
def test_forgetting_that_is_killed_often_is_done_wholly_or_not_at_all(tmp_path: Path, seed: int) -> None:
    check_killed_forgetter(tmp_path, seed)


REINDEXER = """
from mnemic.memory.reindex import reindex
from mnemic.models.hashing import HashingEmbedder
store = SqliteStore(path)
say("open")
wait()
say("started")
reindex(store, HashingEmbedder())
say("done")
"""


@pytest.mark.parametrize("seed", range(3))
def test_a_killed_reindex_loses_nothing_and_goes_on_at_the_next_call(tmp_path: Path, seed: int) -> None:
    path, draw = tmp_path / "memory.db", random.Random(seed)
    store = SqliteStore(path)
    store.append([entry(f"text {n} of some words", vector=vector(1, 0, 0)) for n in range(1_300)])
    store.close()
    killed(REINDEXER, path, draw, lines=2, wait_s=0.15)
    store = SqliteStore(path)
    assert store.counts()["episodes"] == 1_300
    rows = store.index_rows(store.scope_ids("a"))  # vectors of the old or of the new, never of both
    assert rows.vectors.shape[1] in (0, 3, 1024)
    waiting = store.counts()["waiting_vectors"]
    embedded = reindex(store, HashingEmbedder())
    assert embedded == (waiting if waiting or rows.vectors.shape[1] == 1024 else 1_300)
    expected = HashingEmbedder().embed([one.text for one in store.scan("a", limit=2_000)]).astype(np.float16)
    assert np.array_equal(store.index_rows(store.scope_ids("a")).vectors, expected)
    assert (store.integrity(), store.counts()["waiting_vectors"]) == ([], 0)
    store.close()


SAVER = """
import numpy as np
from mnemic.index.files import IndexFiles
files = IndexFiles(path, "me")
say("open")
wait()
n = 0
while True:
    n += 1
    assert files.save([1], 0, {"number": np.array([n]), "body": np.full(200_000, n)})
    say(n)
"""


@pytest.mark.parametrize("seed", range(3))
def test_an_index_file_whose_writer_was_killed_is_whole(tmp_path: Path, seed: int) -> None:
    folder = tmp_path / "index"
    said = killed(SAVER, folder, random.Random(seed), lines=6, wait_s=0.02)
    files = IndexFiles(folder, "me")
    arrays = files.load([1], 0)
    if arrays is None:
        assert said == []
    else:
        number = int(arrays["number"][0])
        assert number >= int(said[-1]) if said else True
        assert (arrays["body"] == number).all()
    files.drop([1])
    assert list(folder.glob("*")) == []  # also what it had begun to write


def test_a_file_that_was_begun_and_never_acknowledged_opens_as_new(tmp_path: Path) -> None:
    process = start("say('x')\nwait()\nstore = SqliteStore(path)\nsay('open')\nwait()", tmp_path / "memory.db")
    assert line(process) == "x"
    go(process)
    time.sleep(random.Random(3).random() * 0.02)
    process.kill()
    process.communicate()
    store = SqliteStore(tmp_path / "memory.db")
    assert (store.append([entry("one")]).seqs, store.integrity()) == ((1,), [])
    assert store.remove("a", [1], at=START).episodes == 1
    store.close()
