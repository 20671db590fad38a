"""The report says what was run, warns, keeps totals clean, calls ties ties, and shows remembered text as text."""

from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from bench.made_up import SKILLS, asked, ingested, write
from mnemic.bench import sheet as sheets
from mnemic.bench import tables
from mnemic.bench.chapter import Chapter, chapters
from mnemic.bench.dataset import Category, Dataset, Variant
from mnemic.bench.page import as_html
from mnemic.bench.report import as_markdown, escaped, markdown_report, number, write_report
from mnemic.bench.results import Asked, Results, Run
from mnemic.bench.sheet import Sheet, Together, read
from mnemic.bench.statistics import Estimate
from mnemic.bench.tables import Table
from mnemic.errors import ParameterError

VOID = {"meta", "link", "br", "img", "hr", "input", "path", "circle", "rect", "line", "polyline", "polygon"}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("bench") / "small.db", "made-up/100k")


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("bench") / "large.db", "made-up/500k", samples=2, questions=25, tokens=90_000)


@pytest.fixture(scope="module")
def made(small: Path, large: Path) -> list[Chapter]:
    with Results(small) as one, Results(large) as other:
        return chapters(Together([one, other]), against="rrf", metric=None)


@pytest.fixture(scope="module")
def page(made: list[Chapter]) -> str:
    return as_html(made)


@pytest.fixture(scope="module")
def markdown(made: list[Chapter]) -> str:
    return as_markdown(made)


def sheet_of(path: Path, rows: Sequence[Asked]) -> Sheet:
    """The sheet of a handful of rows."""
    with Results(path / "few.db") as results:
        results.begin(Run(id="r1", dataset="made-up", began_at="2024-05-01", version="0.1", settings={}))
        for key in dict.fromkeys((one.system, one.sample) for one in rows):
            results.save(ingested(*key), [one for one in rows if (one.system, one.sample) == key])
        made = read(results, "made-up")
    assert made is not None
    return made


def cells(table: Table | None, system: str) -> dict[str, object]:
    assert table is not None
    (row,) = (row for row in table.rows if row[0] == system)
    return {column.name: cell for column, cell in zip(table.columns, row, strict=True)}


# -- figures --------------------------------------------------------------------------------------------------


def test_questions_apart_are_in_no_total_and_have_a_table_of_their_own(tmp_path: Path) -> None:
    rows = [asked(question=f"q{n}", scores={"recall@10": float(n > 0)}, confidence=0.5 + n / 10) for n in range(4)]
    rows += [asked(question="no", category="9", task="absent", scores={"recall@10": 0.0}, evidence=(), confidence=0.1)]
    sheet = sheet_of(tmp_path, rows)
    total = cells(tables.retrieval(sheet), "hybrid")["recall@10"]
    assert isinstance(total, Estimate)
    assert (total.value, total.n) == (0.75, 4)
    told = cells(tables.apart(sheet), "hybrid")["9, n = 1"]
    assert isinstance(told, Estimate)
    assert (told.value, told.n) == (1.0, 5)
    by_category = tables.by_category(sheet, "recall@10")
    assert by_category is not None
    assert [row[0] for row in by_category.rows] == ["1, n = 4", "all, n = 4"]


def test_a_category_is_told_by_id_name_and_number_and_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variant = Variant(id="", samples=1, turns=9, categories=(Category(id="1", name="multi-hop", n=282),), files=())
    dataset = Dataset(
        id="made-up", title="Made up", source="", licence="", about="", variants=(variant,), load=lambda *_: iter(())
    )
    monkeypatch.setattr(sheets, "variant", lambda _: (dataset, variant))
    table = tables.by_category(sheet_of(tmp_path, [asked(), asked(question="q1")]), "recall@10")
    assert table is not None
    assert table.rows[0][0] == "1 multi-hop, n = 2 of 282"


def test_the_corrected_key_counts_where_there_is_one_and_the_files_elsewhere(tmp_path: Path) -> None:
    wrong = {"corrected": ("t2",), "scores": {"recall@10": 0.0, "corrected:recall@10": 1.0}}
    rows = [
        asked(question="q0", **wrong),
        asked(question="q1"),
        asked(question="q2", corrected=(), scores={"recall@10": 1.0}),
    ]
    row = cells(tables.both_keys(sheet_of(tmp_path, rows), ["recall@10"]), "hybrid")
    own, other = row["recall@10, the file's key"], row["recall@10, corrected"]
    assert isinstance(own, Estimate)
    assert isinstance(other, Estimate)
    assert (own.value, own.n) == (2 / 3, 3)
    assert (other.value, other.n) == (1.0, 2)  # the third has no evidence left under the other key


def test_costs_are_sums_over_samples_and_percentiles_over_questions(tmp_path: Path) -> None:
    rows = [asked(question=f"q{n}", elapsed_ms=float(n), sample=f"s{n % 2}") for n in range(101)]
    row = cells(tables.costs(sheet_of(tmp_path, rows)), "hybrid")
    assert row["ingestion"] == 1.5
    assert row["per 1,000 turns"] == pytest.approx(1.25)
    assert (row["query p50"], row["p95"], row["p99"]) == (50, 95, 99)
    assert (row["bytes per turn"], row["LLM calls"]) == (1000, 0)


def test_a_figure_over_fewer_questions_says_over_how_many(tmp_path: Path) -> None:
    rows = [asked(question=f"q{n}", scores={"recall@500t": 1.0, "recall@10": 1.0}) for n in range(3)]
    rows += [
        asked("rrf", question=f"q{n}", scores={"recall@10": 1.0} | ({"recall@500t": 1.0} if n else {}))
        for n in range(3)
    ]
    with Results(tmp_path / "n.db") as results:
        for system in ("hybrid", "rrf"):
            results.save(ingested(system), [one for one in rows if one.system == system])
        report = markdown_report(results)
    (line,) = (line for line in report.splitlines() if line.startswith("| rrf") and "n = 2" in line)
    assert line.startswith("| rrf | 1.000 (.342 to 1.000; n = 2)")


def test_a_dataset_without_evidence_is_led_by_what_it_has(tmp_path: Path) -> None:
    rows = [
        asked(question=f"q{n}", task="contains", evidence=(), scores={"contains@10": 1.0, "lag": 2.0}) for n in range(3)
    ]
    sheet = sheet_of(tmp_path, rows)
    assert sheet.headline == "contains@10"
    assert (sheet.retrieval_metrics, sheet.other_metrics) == (["contains@10"], ["lag"])


def test_confidence_that_orders_rightly_leaves_the_surest_right(tmp_path: Path) -> None:
    rows = [asked(question=f"q{n}", scores={"any@10": float(n >= 5)}, confidence=n / 10) for n in range(10)]
    row = cells(tables.calibration(sheet_of(tmp_path, rows)), "hybrid")
    assert (row["wrong in the surest 50 %"], row["wrong in all"]) == (0.0, 0.5)
    assert row["calibration error"] == pytest.approx(0.25)


def test_wrong_answers_are_told_by_whose_fault_they_were(tmp_path: Path) -> None:
    causes = ("retrieval", "reader", "reader", None)
    rows = [
        asked(question=f"q{n}", scores={"answer_em": 0.0}, extra={"read": {"model": {"fault": one} if one else {}}})
        for n, one in enumerate(causes)
    ]
    row = cells(tables.answers(sheet_of(tmp_path, rows)), "hybrid")
    assert [row[f"wrong by {one}"] for one in ("retrieval", "presentation", "reader")] == [1, 0, 2]


def test_the_first_systems_failures_are_those_that_others_found_and_whose_key_is_trusted(made: list[Chapter]) -> None:
    chapter = made[0]
    assert chapter.sheet.first == "hybrid"
    assert 0 < len(chapter.failures) <= 10
    for failure in chapter.failures:
        assert failure.score < 1
        assert failure.rank == 4
        assert [one.is_evidence for one in failure.recalled] == [False, False, False, True]
    doubted = {
        key
        for key, is_corrected in zip(chapter.sheet.questions, chapter.sheet.is_corrected, strict=True)
        if is_corrected
    }
    assert doubted
    assert not any(failure.where.endswith(question) for failure in chapter.failures for _, question in doubted)


def test_controls_stand_below_the_designs_and_floors_and_ceilings_help_no_failure(made: list[Chapter]) -> None:
    chapter = made[0]
    assert chapter.sheet.systems[:2] == ("hybrid", "amem")
    assert not {name for failure in chapter.failures for name in failure.found_by} & {"oracle", "full", "random"}


def test_one_file_beside_another_reads_as_both(small: Path, large: Path) -> None:
    with Results(small) as one, Results(large) as other:
        both = Together([one, other, one])
        assert both.datasets() == ["made-up/100k", "made-up/500k"]
        assert both.systems("made-up/500k") == other.systems("made-up/500k")
        assert both.asked("made-up/100k", "rrf") == one.asked("made-up/100k", "rrf")
        assert [run.id for run in both.runs()] == ["run of made-up/100k", "run of made-up/500k"]


# -- Markdown -------------------------------------------------------------------------------------------------


def test_the_report_keeps_its_order(markdown: str) -> None:
    order = [
        "## made-up/100k",
        "Nobody measured this",
        "version: 0.1",
        "### Retrieval",
        "### recall@10 by category",
        "### Questions without an answer in the log",
        "### Recall at equal tokens",
        "### recall@10 less that of rrf",
        "### Both answer keys",
        "### Cost",
        "### Answers of a language model",
        "### Most telling failures of hybrid",
        "## made-up/500k",
        "## made-up: growth with the log",
    ]
    places = [markdown.index(one) for one in order]
    assert places == sorted(places)


def test_every_control_has_its_row(markdown: str) -> None:
    retrieval = markdown.split("### Retrieval")[1].split("###")[0]
    assert [line.split(" | ")[0].strip("| ") for line in retrieval.splitlines() if line.startswith("| ")][2:] == list(
        SKILLS
    )


def test_the_judge_is_told_with_its_prompt_and_its_false_accepts(markdown: str) -> None:
    assert "judge: false accept rate: 0.12" in markdown.replace("\\", "")
    assert "Is <this> right?" in markdown.replace("\\", "")


def test_a_table_row_has_as_many_cells_as_its_head(markdown: str) -> None:
    for block in markdown.split("\n\n"):
        lines = block.splitlines()
        if lines[0].startswith("| "):
            assert len({line.replace("\\|", "").count("|") for line in lines}) == 1


def test_text_is_never_markup() -> None:
    assert escaped("a|b <i>*c*</i>\n# d `e` [f](g)") == r"a\|b \<i\>\*c\*\</i\> \# d \`e\` \[f\](g)"


def test_numbers_are_short_and_signed_where_they_differ() -> None:
    assert [number(one, "share") for one in (0.0, 0.1234, 0.9999, 1.0, np.nan, None)] == [
        ".000",
        ".123",
        "1.000",
        "1.000",
        "–",
        "–",
    ]
    assert [number(one, "difference") for one in (-0.05, 0.0, 0.05)] == ["−.050", ".000", "+.050"]
    assert [number(one, "ms") for one in (0.123, 12.34, 1234.5)] == ["0.12", "12.3", "1,234"]
    assert [number(one, "p") for one in (0.0001, 0.0315, 1.0)] == ["<.001", ".032", "1.000"]


def test_the_same_results_give_the_same_files(large: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_report([large], tmp_path / f"{name}.md", tmp_path / f"{name}.html", metric="mrr", against="bm25")
    assert "### mrr less that of bm25" in (tmp_path / "one.md").read_text("utf-8")
    assert (tmp_path / "one.md").read_bytes() == (tmp_path / "two.md").read_bytes()
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()


def test_a_baseline_or_metric_that_nobody_ran_is_refused_with_those_there_are(large: Path, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"'nobody'.*hybrid"):
        write_report([large], tmp_path / "report.md", None, against="nobody")
    with pytest.raises(ParameterError, match=r"'recall@7'.*recall@10"):
        write_report([large], tmp_path / "report.md", None, metric="recall@7")
    assert not (tmp_path / "report.md").exists()


def test_a_file_without_questions_is_refused(tmp_path: Path) -> None:
    with Results(tmp_path / "empty.db") as results, pytest.raises(ParameterError, match="no question"):
        markdown_report(results)


def test_rows_of_different_versions_are_warned_of(tmp_path: Path) -> None:
    with Results(tmp_path / "two.db") as results:
        for id, version in (("r1", "0.1"), ("r2", "0.2")):
            results.begin(Run(id=id, dataset="made-up", began_at="2024-05-01", version=version, settings={"limit": 5}))
            results.save(ingested(sample=id, run=id), [asked(question=id, sample=id, run=id)])
        report = markdown_report(results)
    assert "Rows of different versions stand side by side: 0.1, 0.2" in report
    assert "A part of the dataset only: the first 5 questions" in report


# -- HTML -----------------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """Checks that every element is closed in its order, and collects what a reader and a browser would see."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.shown: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.shown.append(data)


def test_the_page_is_well_formed_and_needs_no_script_and_nothing_from_elsewhere(page: str) -> None:
    parsed = Page(page)
    assert not {tag for tag, _ in parsed.seen} & {"script", "link", "img", "iframe", "object", "embed", "base"}
    for tag, attributes in parsed.seen:
        assert not any(name.startswith("on") or name in ("src", "srcset", "xlink:href") for name in attributes)
        assert "href" not in attributes or (tag == "a" and str(attributes["href"]).startswith("#"))
    style = page.split("<style>")[1].split("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style
    assert "http" not in page.replace('http-equiv="', "")


def test_links_of_the_page_lead_somewhere_and_ids_are_unique(page: str) -> None:
    parsed = Page(page)
    ids = [attributes["id"] for _, attributes in parsed.seen if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {f"#{id}" for id in ids} >= {attributes["href"] for tag, attributes in parsed.seen if tag == "a"}


def test_remembered_text_is_shown_and_never_run(page: str) -> None:
    text = "".join(Page(page).shown)
    assert "<script>alert('a turn')</script> & a | pipe, *stars*" in text
    assert "Who said <b>" in text
    assert "Is <this> right?" in text


def test_each_plot_is_there_and_its_points_say_their_figures(page: str) -> None:
    parsed = Page(page)
    labels = [str(attributes["aria-label"]) for tag, attributes in parsed.seen if tag == "svg"]
    assert [one.split(": ")[1] for one in labels[:4]] == [
        "recall at equal tokens, by system",
        "recall@10 against milliseconds, by system",
        "recall@10 by category",
        "differences to rrf",
    ]
    assert labels[-1] == "made-up: recall@10 as the log grows"
    assert "hybrid at 2,000 tokens: ." in page


def test_every_failure_can_be_opened(page: str) -> None:
    parsed = Page(page)
    failures = [
        attributes for tag, attributes in parsed.seen if tag == "details" and attributes.get("class") == "failure"
    ]
    assert 10 < len(failures) <= 20
    assert all("open" not in one for one in failures)


def test_the_page_is_made_for_phones_and_for_the_dark(page: str) -> None:
    assert 'name="viewport" content="width=device-width, initial-scale=1"' in page
    assert "prefers-color-scheme:dark" in page
