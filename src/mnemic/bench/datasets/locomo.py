"""LoCoMo: very long conversations between two people, and questions whose answers sit in known turns.

Turns and questions come from the importer's reader (`mnemic.formats.locomo`), so an index sees what a user's import
would: text, speaker, the caption of a shared photo, the session and its time. The search phrases of the photos and what
a model wrote about each session (`query`, `observation`, `session_summary`, `event_summary`) are never read.

Two keys: the file's, its evidence ids repaired, and where the public audit found an error the audit's, as `corrected`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path

from mnemic.bench.dataset import Category, Dataset, File, Key, Question, Sample, Turn, Variant
from mnemic.bench.datasets.files import categories, counted, find, read_json, variant_of
from mnemic.errors import FormatError
from mnemic.formats import locomo
from mnemic.formats.message import Message, Problem

OPEN_DOMAIN, ADVERSARIAL = 3, 5  # as the file numbers them
AUDIT = "locomo/audit_errors.json"

Audit = Mapping[str, Mapping[str, object]]  # rows by question id


def load(folder: Path, variant_id: str) -> Iterator[Sample]:
    """The conversations of a variant. Raises FormatError where the counts are not the stated ones."""
    variant = variant_of(LOCOMO, variant_id)
    return counted(LOCOMO, variant, read(folder / variant.files[0].path, read_audit(folder / AUDIT)))


def read(path: Path, audit: Audit) -> Iterator[Sample]:
    """The conversations of any file in LoCoMo's format, with the audit's corrections."""
    questions: dict[str, list[locomo.Question]] = {}
    for one in locomo.read_questions(find(path)):
        if isinstance(one, Problem):
            raise FormatError(f"{path.name} is no LoCoMo file: {one}. Get it again.")
        questions.setdefault(one.scope, []).append(one)
    for scope, messages in groupby(_messages(path), key=lambda one: one.scope or ""):
        turns = tuple(_turn(one) for one in messages)
        ids = {one.id for one in turns}
        asked = tuple(_question(one, audit.get(one.id, {}), ids) for one in questions.get(scope, []))
        yield Sample(id=scope, turns=turns, questions=asked)


def read_audit(path: Path) -> Audit:
    """The audit's rows by question id; none where its file is not there: then each question has the file's key alone."""
    if not path.is_file():
        return {}
    return {f"{row['sample_id']}/q{row['qa_index']}": row for row in read_json(path)}


def _messages(path: Path) -> Iterator[Message]:
    for one in locomo.read_locomo(find(path)):
        if isinstance(one, Problem):
            raise FormatError(f"{path.name} is no LoCoMo file: {one}. Get it again.")
        yield one


def _turn(message: Message) -> Turn:
    return Turn(
        id=message.id,
        text=message.text,
        role=message.role,
        actor=message.actor,
        session=message.session,
        occurred_at=message.occurred_at,
    )


def _question(question: locomo.Question, row: Mapping[str, object], turns: set[str]) -> Question:
    is_adversarial = question.category == ADVERSARIAL
    corrected = None
    if row:
        evidence, _ = locomo.parse_evidence(row.get("correct_evidence"), turns)
        corrected = Key(evidence=evidence, answers=_answers(str(row["correct_answer"]), question.category))
    return Question(
        id=question.id,
        text=question.text,
        category=str(question.category),
        key=Key(evidence=question.evidence, answers=_answers(question.answer, question.category)),
        task="absent" if is_adversarial else "recall",
        corrected=corrected,
        error=_error(question, row),
    )


def _answers(answer: str | None, category: int) -> tuple[str, ...]:
    """Open-domain answers give reasons after a ";", which the official score leaves out."""
    if answer is None:
        return ()
    return (answer.split(";")[0].strip() if category == OPEN_DOMAIN else answer,)


def _error(question: locomo.Question, row: Mapping[str, object]) -> str | None:
    if row:
        return str(row["error_type"]).lower().replace("_", " ")
    if not question.evidence:
        return "no usable evidence"
    if question.unknown_evidence:
        return f"evidence that is no turn: {', '.join(question.unknown_evidence)}"
    return None


def _categories(*counts: int) -> tuple[Category, ...]:
    names = ("multi-hop", "temporal", "open-domain", "single-hop", "adversarial")
    return categories((str(id), name, n) for id, (name, n) in enumerate(zip(names, counts, strict=True), start=1))


LOCOMO = Dataset(
    id="locomo",
    title="LoCoMo",
    source="Maharana et al. 2024, arXiv 2402.17753; snap-research/locomo. Audit: dial481/locomo-audit",
    licence="CC BY-NC 4.0",
    about=(
        "Which turns of a conversation over months answer a question about it. Beware of the category numbers, which most "
        "tables permute, of about 6 % wrong answers, and of the adversarial questions, whose evidence is about the other "
        "speaker."
    ),
    variants=(
        Variant(
            id="five",
            samples=5,
            turns=2760,
            categories=_categories(142, 156, 46, 418, 237),
            files=(
                File(
                    path="locomo/locomo5.json",
                    sha256="29d2fbf8ab075f4123021d8d7ced23082217ce209ae8dc08c396569be9ae050e",
                ),
                File(path=AUDIT, sha256="156a0cb7358e878672655871500b2b2a728753b7b876c9efed07ee3237e4bdeb"),
            ),
        ),
        Variant(
            id="ten",
            samples=10,
            turns=5882,
            categories=_categories(282, 321, 96, 841, 446),
            files=(
                File(
                    path="locomo/locomo10.json",
                    sha256="79fa87e90f04081343b8c8debecb80a9a6842b76a7aa537dc9fdf651ea698ff4",
                    url="https://raw.githubusercontent.com/snap-research/locomo/main/data/locomo10.json",
                ),
                File(path=AUDIT),
            ),
        ),
    ),
    load=load,
    apart=(str(ADVERSARIAL),),
    notes={
        "variants": "`five` is the first five of the ten conversations (conv-26, -30, -41, -42, -43); most published figures "
        "are over all ten, 1,540 questions without the adversarial ones.",
        "adversarial": "Category 5 swaps the speaker, so nothing answers it: it is scored by how sure the recall is and "
        "stands apart. Its evidence is where the other speaker's fact is, and is kept for a separate note.",
        "evidence": "Ids are repaired (several in one string, zeros, slips); what is left and names no turn is dropped and "
        "said in `error`. Questions of categories 1 to 4 without usable evidence are kept, with none; recall leaves them "
        "out, and the table says how many.",
        "corrected": "The audit's key (locomo/audit_errors.json) where it found an error; without that file there is the "
        "file's key alone. The rows at hand cover the first five conversations.",
        "answers": "Open-domain answers are cut at the first ';', as the official score does. It also splits multi-hop "
        "answers at commas and takes the best F1 of each part: a single F1 over the whole is stricter.",
        "times": "Local and without a zone; taken as UTC. A turn is put 10 s after the one before.",
    },
)
