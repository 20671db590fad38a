"""Multi-hop questions over one pool of passages, as HippoRAG uses MuSiQue, 2WikiMultiHopQA and HotpotQA.

A dataset is one sample: the passages of all its questions are the turns (title, newline, text), and a question's evidence
is its supporting passages. Two files make it: `<name>.json` with the questions, each with its own passages, and
`<name>_corpus.json` with the pool. MuSiQue marks passages as supporting; the other two name titles and sentences.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mnemic.bench.dataset import Category, Dataset, File, Key, Question, Sample, Turn, Variant
from mnemic.bench.datasets.files import assert_counts, categories, read_json, variant_of

_HOPS = re.compile(r"(\d)hop")
_SPACE = re.compile(r"\s+")
_URL = "https://huggingface.co/datasets/osunlp/HippoRAG_2/resolve/main"

Asked = Mapping[str, Any]


def load(dataset: Dataset, folder: Path, variant_id: str) -> Iterator[Sample]:
    """The one sample of a variant. Raises FormatError where the counts are not the stated ones."""
    variant = variant_of(dataset, variant_id)
    asked, corpus = (read_json(folder / one.path) for one in variant.files)
    category = _all if variant.categories is _ALL else hops
    name = f"{dataset.id}-{variant_id}" if variant_id else dataset.id
    samples = [read(name, asked, corpus, category)]
    assert_counts(dataset, variant, samples)
    return iter(samples)


def read(id: str, asked: list[Asked], corpus: Any, category: Callable[[Asked], str]) -> Sample:
    """The sample that a file of questions and its corpus make. A corpus is a list, or sentences by title."""
    passages = [_passage(one) for one in (corpus.items() if isinstance(corpus, Mapping) else corpus)]
    by_content: dict[tuple[str, str], str] = {}
    for number, (title, text) in enumerate(passages):
        by_content.setdefault((title, _SPACE.sub("", text)), f"p{number}")
    # a pool has no order: in the file's, passages of one question stand side by side, and a neighbour would tell
    order = sorted(
        range(len(passages)), key=lambda number: hashlib.sha256("\n".join(passages[number]).encode()).digest()
    )
    turns = (Turn(id=f"p{n}", text="\n".join(passages[n]), session=f"p{n}") for n in order)
    questions = (_question(one, by_content, category) for one in asked)
    return Sample(id=id, turns=tuple(turns), questions=tuple(questions))


def hops(asked: Asked) -> str:
    """How many passages MuSiQue says a question needs, from its id; "1hop" where the id does not say.

    >>> hops({"id": "3hop1__136129_87694_124169"})
    '3hop'
    """
    found = _HOPS.match(str(asked["id"]))
    return f"{found[1]}hop" if found else "1hop"


def supporting(asked: Asked) -> list[tuple[str, str]]:
    """Title and text of a question's supporting passages, in either published form.

    >>> supporting({"supporting_facts": [["Lilu", 0], ["Lilu", 2]], "context": [["Lilu", ["A", " b."]], ["Al", ["C."]]]})
    [('Lilu', 'A b.')]
    """
    if "paragraphs" in asked:
        return [_passage(one) for one in asked["paragraphs"] if one["is_supporting"]]
    titles = {title for title, _ in asked["supporting_facts"]}
    return [_passage(one) for one in asked["context"] if one[0] in titles]


def _passage(one: Any) -> tuple[str, str]:
    if isinstance(one, Mapping):
        return one["title"], one["text"] if "text" in one else one["paragraph_text"]
    title, sentences = one
    return title, "".join(sentences)


def _question(asked: Asked, by_content: Mapping[tuple[str, str], str], category: Callable[[Asked], str]) -> Question:
    wanted = [(title, _SPACE.sub("", text)) for title, text in supporting(asked)]
    evidence = dict.fromkeys(by_content[one] for one in wanted if one in by_content)
    missing = [title for title, text in wanted if (title, text) not in by_content]
    answer = asked["answer"]
    answers = [*(answer if isinstance(answer, list) else [answer]), *asked.get("answer_aliases", ())]
    return Question(
        id=str(asked["id"] if "id" in asked else asked["_id"]),
        text=asked["question"],
        category=category(asked),
        key=Key(evidence=tuple(evidence), answers=tuple(dict.fromkeys(map(str, answers)))),
        error=f"not in the corpus: {', '.join(missing)}" if missing else None,
    )


def _all(asked: Asked) -> str:
    return "all"


_ALL = categories((("all", "all types", 1000),))


def _variant(id: str, turns: int, counts: tuple[Category, ...], name: str, *sha256: str) -> Variant:
    paths = (f"{name}.json", f"{name}_corpus.json")
    if sha256:
        files = tuple(File(path=f"hipporag/{path}", sha256=one) for path, one in zip(paths, sha256, strict=True))
    else:
        files = tuple(File(path=f"hipporag/{path}", url=f"{_URL}/{path}") for path in paths)
    return Variant(id=id, samples=1, turns=turns, categories=counts, files=files)


_SOURCE = "in the form of HippoRAG (arXiv 2405.14831, 2502.14802); OSU-NLP-Group/HippoRAG, osunlp/HippoRAG_2"
_KS = (2, 5, 10, 20)
_NOTES = {
    "times": "Passages have no time and no speaker; they are remembered in the order of the corpus.",
    "categories": "How the published thousand divide by type or hops is not stated with them, so they are one category.",
    "headline": "recall@2, recall@5 and all-evidence@k of supporting passages; answer F1 is best over aliases.",
}


MUSIQUE: Dataset = Dataset(
    id="musique",
    title="MuSiQue",
    source=f"Trivedi et al. 2022, arXiv 2108.00573; {_SOURCE}",
    licence="CC BY 4.0 (MuSiQue), MIT (HippoRAG's files)",
    about=(
        "Two to four passages, each found only through the one before, among those of all questions. Beware that the pool is "
        "small: the distractors were chosen for other questions."
    ),
    variants=(
        _variant(
            "train",
            1890,
            categories((("2hop", "2 hops", 68), ("3hop", "3 hops", 27), ("4hop", "4 hops", 5))),
            "musique_train",
            "bca674746844637f5c68408a96b67bc0542d98e7c53715f3acafe144bd5e4ff4",
            "79845dd085f9df49c8ce440208763e2611aeb86c81ee0bdad2094504381bb651",
        ),
        _variant(
            "sample",
            3,
            categories((("1hop", "1 hop", 1),)),
            "sample",
            "30055b62188c556b442da998c6bd23c73280f92387130c38910b2564b263f171",
            "89568a4713d53fb3d871fbbc94c3797dc4d7ab5754d6bf42fb99b06365c81f46",
        ),
        _variant("dev", 11656, _ALL, "musique"),
    ),
    load=lambda folder, variant_id: load(MUSIQUE, folder, variant_id),
    ks=_KS,
    notes=_NOTES
    | {
        "variants": "`train` is 100 training questions over 1,890 passages, on which HippoRAG tuned its settings: never the "
        "place for a claim of its own. `sample` is three passages to see that files are read. `dev` is the published thousand.",
    },
)

TWO_WIKI: Dataset = Dataset(
    id="2wiki",
    title="2WikiMultiHopQA",
    source=f"Ho et al. 2020, arXiv 2011.01060; {_SOURCE}",
    licence="Apache-2.0",
    about=(
        "Two to four passages joined by entities of a knowledge graph. Beware that its questions follow templates and name "
        "their entities, so that a graph of names fits them better than it fits talk."
    ),
    variants=(_variant("", 6119, _ALL, "2wikimultihopqa"),),
    load=lambda folder, variant_id: load(TWO_WIKI, folder, variant_id),
    ks=_KS,
    notes=_NOTES,
)

HOTPOTQA: Dataset = Dataset(
    id="hotpotqa",
    title="HotpotQA",
    source=f"Yang et al. 2018, arXiv 1809.09600; {_SOURCE}",
    licence="CC BY-SA 4.0",
    about=(
        "Two passages that answer a question together. Beware that many of its questions need one of them only, so it is the "
        "easiest of the three and tells least about association."
    ),
    variants=(_variant("", 9811, _ALL, "hotpotqa"),),
    load=lambda folder, variant_id: load(HOTPOTQA, folder, variant_id),
    ks=_KS,
    notes=_NOTES
    | {
        "release": "The first release of HippoRAG had 9,221 passages here; the second, whose files are named, has 9,811."
    },
)
