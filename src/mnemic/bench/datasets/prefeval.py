"""PrefEval: a user once showed a preference; is it recalled when a question comes that must respect it?

One log is one invented user with one preference of each topic, spread through filler chats; each question has its own
preference as evidence. Source: arXiv 2502.09597, amazon-science/PrefEval, benchmark_dataset.
Departs: the paper tests one preference at a time after n filler messages. All of a topic in one log would contradict
each other, and a log for each would be the same filler a thousand times; one of each topic does neither. The number in
a variant's name is the filler messages of the whole log. Whether an answer follows the preference is not judged.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from mnemic.bench.dataset import Dataset, File, Key, Question, Sample, Turn, Variant
from mnemic.bench.datasets.files import categories, counted, read_json, variant_of

SEED = 0
BEGAN_AT = datetime(2024, 1, 1, tzinfo=UTC)
TOPICS = {
    "education_learning_styles": 31,
    "education_resources": 54,
    "entertain_games": 51,
    "entertain_music_book": 56,
    "entertain_shows": 62,
    "entertain_sports": 52,
    "lifestyle_beauty": 53,
    "lifestyle_dietary": 57,
    "lifestyle_fit": 52,
    "lifestyle_health": 49,
    "pet_ownership": 43,
    "professional_work_location_style": 36,
    "shop_fashion": 54,
    "shop_home": 56,
    "shop_motors": 45,
    "shop_technology": 35,
    "travel_activities": 58,
    "travel_hotel": 54,
    "travel_restaurant": 56,
    "travel_transportation": 46,
}
FORMS = {"explicit": "explicit_preference", "choice": "implicit_choice", "persona": "implicit_persona"}
FILLER = (100, 10, 300)  # messages in a log; the file has 632

Message = tuple[str, str]  # role, text


def shown(form: str, row: Mapping[str, Any]) -> tuple[list[Message], list[int]]:
    """The messages that show a preference, and which of them are evidence.

    explicit: the user says it. choice: the user picks an option that follows it; the pick is evidence. persona: it comes
    up in a talk about other things, the file does not say where; every message of the user there is evidence.
    """
    if form == "explicit":
        return [("user", row["preference"])], [0]
    talk = row["conversation"]
    if form == "choice":
        said = [talk[name] for name in ("query", "assistant_options", "user_selection", "assistant_acknowledgment")]
        return list(zip(("user", "assistant", "user", "assistant"), said, strict=True)), [2]
    messages = [(role, pair[role]) for pair in talk.values() for role in ("user", "assistant")]
    return messages, list(range(0, len(messages), 2))


def exchanges(chats: Sequence[Mapping[str, Any]], n: int) -> list[tuple[str, list[Message]]]:
    """The first `n` filler messages, in pairs of question and answer, each with the session that it is of."""
    pairs = []
    for number, chat in enumerate(chats):
        said = [(one["role"], one["content"]) for one in chat["conversation"]]
        pairs += [(f"filler-{number}", said[at : at + 2]) for at in range(0, len(said), 2)]
    return pairs[: n // 2]


def to_sample(
    id: str,
    form: str,
    preferences: Mapping[str, Mapping[str, Any]],
    choices: Mapping[str, Sequence[str]],
    filler: Sequence[tuple[str, list[Message]]],
) -> Sample:
    """One user: by topic a preference and its four options, the right one first; put between the filler at random.

    A preference comes up in the chat that is going on: as a session of its own, its size alone would tell it.
    """
    rng = random.Random(f"{SEED}:{id}")
    topics = list(preferences)
    rng.shuffle(topics)
    order = [*topics, *([""] * len(filler))]
    rng.shuffle(order)
    rest, minute, session = iter(filler), count(), filler[0][0]
    turns: list[Turn] = []
    evidence: dict[str, tuple[str, ...]] = {}
    for topic in order:
        session, said = (session, shown(form, preferences[topic])[0]) if topic else next(rest)
        ids = [str(len(turns) + at) for at in range(len(said))]
        turns += [
            Turn(id=id, text=text, role=role, session=session, occurred_at=BEGAN_AT + timedelta(minutes=next(minute)))
            for id, (role, text) in zip(ids, said, strict=True)
        ]
        if topic:
            evidence[topic] = tuple(ids[at] for at in shown(form, preferences[topic])[1])
    questions = []
    for topic, row in preferences.items():
        options = list(choices[topic])
        key = Key(evidence=evidence[topic], answers=(options[0],))
        rng.shuffle(options)
        questions.append(
            Question(id=f"{id}-{topic}", text=row["question"], category=topic, key=key, options=tuple(options))
        )
    return Sample(id=id, turns=tuple(turns), questions=tuple(questions))


def _samples(folder: Path, variant: Variant) -> Iterator[Sample]:
    form, n = variant.id.split("-")
    preferences, options, chats = (read_json(folder / file.path) for file in variant.files)
    filler = exchanges(chats, int(n))
    for number in range(max(map(len, preferences.values()))):
        rows = {topic: preferences[topic][number] for topic in TOPICS if number < len(preferences[topic])}
        # by place in the file: the wording of some preferences differs by a word between the files
        choices = {topic: options[topic][number]["classification_task_options"] for topic in rows}
        yield to_sample(str(number), form, rows, choices, filler)


def _load(folder: Path, variant_id: str) -> Iterator[Sample]:
    variant = variant_of(PREFEVAL, variant_id)
    return counted(PREFEVAL, variant, _samples(folder, variant))


def _variant(form: str, filler: int, shown_turns: int) -> Variant:
    logs = max(TOPICS.values())
    return Variant(
        id=f"{form}-{filler}",
        samples=logs,
        turns=shown_turns + logs * filler,
        categories=categories((topic, topic.replace("_", " "), n) for topic, n in TOPICS.items()),
        files=tuple(
            File(path=f"prefeval/{name}.json.gz") for name in (FORMS[form], "mcq_options", "filtered_inter_turns")
        ),
    )


PREFEVAL = Dataset(
    id="prefeval",
    title="PrefEval",
    source="Zhao et al. 2025, arXiv 2502.09597; amazon-science/PrefEval@5079505, benchmark_dataset",
    licence="CC BY-NC 4.0",
    about=(
        "Does a question bring back the preference that its answer must respect, though it often shares no word with it? "
        "The preference is stated, shown by a choice, or comes up in a talk about other things."
    ),
    variants=tuple(
        _variant(form, n, {"explicit": 1000, "choice": 4000, "persona": 10_620}[form]) for form in FORMS for n in FILLER
    ),
    load=_load,
    ks=(1, 5, 10),
    notes={
        "logs": "62 invented users; topics have 31 to 62 preferences, so later users have fewer than twenty.",
        "filler": "LMSYS chats, the same in every log; the number in the variant is the messages of a whole log.",
        "sessions": "Those of the filler; a preference stands in the one that is going on. As in the file, nobody answers an "
        "explicit preference, so that it is followed by another message of the user: nothing may look at that.",
        "choice": "The user's pick is the evidence; the assistant's word after it names the preference too and does not count.",
        "persona": "Every message of the user in that talk counts as evidence: read the first hit (MRR), not recall.",
        "other topics": "A preference of another topic may bear on a question as well; it does not count.",
        "options": "The file's right option stands first; here the four are shuffled by a fixed seed.",
    },
)
