"""Plots are well-formed SVG in which everything is named, stands inside and says its figures."""

import math
import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnemic.bench.plots import WIDTH, Axis, Point, Series, bars, curves, forest, scatter

shares = st.floats(0, 1)
quantities = st.floats(0.01, 1e7)
names = st.sampled_from(["hybrid", "rrf", "a <b> & 'c'", "a_system_with_a_name_that_does_not_end"])


@st.composite
def series(draw: st.DrawFn, most: int = 4) -> Series:
    xs = sorted(draw(st.sets(quantities, min_size=1, max_size=most)))
    points = [Point(x, y := draw(shares), max(0, y - 0.1), min(1, y + 0.1), f"<{x}>") for x in xs]
    return Series(draw(names), draw(st.integers(0, 12)), draw(st.booleans()), tuple(points))


many = st.lists(series(), min_size=1, max_size=12)


def elements(svg: str) -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(svg).iter())


@settings(max_examples=30)
@given(many)
def test_curves_are_well_formed_and_stand_inside(drawn: list[Series]) -> None:
    found = elements(curves(drawn, x_name="tokens", y_name="recall", label="Recall & tokens"))
    assert found[0].tag == "svg"
    assert found[0].attrib["aria-label"] == "Recall & tokens"
    _, _, width, height = map(float, found[0].attrib["viewBox"].split())
    places = [pair for one in found for pair in re.findall(r"([-\d.]+),([-\d.]+)", one.attrib.get("points", ""))]
    assert all(0 <= float(x) <= width and 0 <= float(y) <= height for x, y in places)


@settings(max_examples=30)
@given(many)
def test_every_point_of_a_scatter_says_its_figures_and_its_name(drawn: list[Series]) -> None:
    found = elements(scatter(drawn, x_name="ms", y_name="recall", label="Recall"))
    titles = [one.text for one in found if one.tag == "title"]
    assert sorted(titles) == sorted(point.title for one in drawn for point in one.points)
    labels = [one.text for one in found if one.attrib.get("class", "").startswith("label")]
    assert labels == [one.label for one in drawn]


def test_labels_of_curves_that_end_together_do_not_cover_each_other() -> None:
    drawn = [Series(f"s{at}", at, False, (Point(1, 0.5), Point(2, 0.9))) for at in range(9)]
    found = elements(curves(drawn, x_name="tokens", y_name="recall", label="Recall"))
    ys = sorted(float(one.attrib["y"]) for one in found if one.attrib.get("class", "").startswith("label"))
    assert min(b - a for a, b in pairwise(ys)) >= 14.9


def test_names_of_near_dots_do_not_cover_each_other() -> None:
    drawn = [
        Series(name, at, False, (Point(2 + at / 50, 0.5),)) for at, name in enumerate(["one", "two", "three", "four"])
    ]
    drawn += [Series("far", 5, False, (Point(40, 0.1),))]
    found = elements(scatter(drawn, x_name="ms", y_name="recall", label="Recall"))
    texts = [one for one in found if one.attrib.get("class", "").startswith("label")]
    boxes = [(float(one.attrib["x"]), float(one.attrib["y"]), 6 * len(one.text or "")) for one in texts]
    for at, (x, y, width) in enumerate(boxes):
        assert not any(x < right + w and right < x + width and abs(y - b) < 11 for right, b, w in boxes[:at])


def test_bars_are_as_long_as_their_shares() -> None:
    one = Series("hybrid", 0, False, (Point(0, 0.25, 0.2, 0.3), Point(1, 0.5)))
    found = elements(bars(["1 multi-hop, n = 3", "2 temporal, n = 4"], [one], label="By category"))
    widths = [float(bar.attrib["width"]) for bar in found if bar.attrib.get("class", "").startswith("bar")]
    assert widths[1] == pytest.approx(2 * widths[0], abs=0.2)
    assert {"1 multi-hop, n = 3", "2 temporal, n = 4", ".250", ".500"} <= {text.text for text in found}


def test_a_difference_stands_on_its_side_of_0() -> None:
    drawn = [
        Series("up", 0, False, (Point(0, 0.1, 0.05, 0.15),)),
        Series("down", 1, False, (Point(0, -0.2, -0.3, -0.1),)),
    ]
    found = elements(forest(drawn, x_name="difference", label="Differences"))
    (zero,) = (float(one.attrib["x1"]) for one in found if one.attrib.get("class") == "zero")
    whiskers = [
        (float(one.attrib["x1"]), float(one.attrib["x2"])) for one in found if "whisker" in one.attrib.get("class", "")
    ]
    assert zero < whiskers[0][0] < whiskers[0][1] < WIDTH
    assert whiskers[1][0] < whiskers[1][1] < zero
    assert {"+.100", "−.200"} <= {one.text for one in found}


def test_colours_are_not_the_only_difference() -> None:
    drawn = [Series(f"s{at}", at, False, (Point(10.0**at, 0.5),)) for at in range(5)]
    found = elements(scatter(drawn, x_name="ms", y_name="recall", label="Recall"))
    marks = [list(one.iter())[-1] for one in found if one.attrib.get("class", "").startswith("mark")]
    shapes = {re.sub(r"^M[\d.]+ [\d.]+", "", one.attrib["d"]) if one.tag == "path" else one.tag for one in marks}
    assert len(shapes) == 5


def test_nothing_is_drawn_of_nothing() -> None:
    empty = [Series("hybrid", 0, False, ())]
    assert curves(empty, x_name="", y_name="", label="") == scatter(empty, x_name="", y_name="", label="") == ""
    assert bars([], empty, label="") == forest(empty, x_name="", label="") == ""


@given(st.floats(0.01, 100), st.floats(1.01, 1000), shares)
def test_an_axis_rises_from_its_start_to_its_end(low: float, times: float, share: float) -> None:
    for is_log in (False, True):
        axis = Axis(low, low * times, 10, 90, is_log)
        assert (axis.at(low), axis.at(low * times)) == (10, 90)
        assert 10 <= axis.at(low + share * (low * times - low)) <= 90
    assert Axis(1, 100, 0, 100, is_log=True).at(10) == 50
    assert not math.isnan(Axis(1, 1, 0, 100).at(1))
