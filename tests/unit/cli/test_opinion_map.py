"""The opinion map as a picture."""

from collections.abc import Sequence
from math import dist
from xml.etree.ElementTree import Element, fromstring, tostring

import pytest
from tally.voting.v1 import analysis_pb2 as resources

from libs.cli.scenario.opinion_map import draw
from tests.unit.cli.told import PLACES, analysis

SVG = "{http://www.w3.org/2000/svg}"


def drawn(found: resources.Analysis, title: str = "A < B & C") -> Element:
    """As whoever opens the file reads it."""
    root = draw(found, title).getroot()
    assert root is not None
    return fromstring(tostring(root))


def dots(picture: Element, group: str) -> list[tuple[float, float]]:
    circles = picture.findall(f"{SVG}g[@id='{group}']/{SVG}circle")
    return [(float(circle.attrib["cx"]), float(circle.attrib["cy"])) for circle in circles]


def texts(picture: Element) -> Sequence[str]:
    return [text.text or "" for text in picture.iter(f"{SVG}text")]


def test_everybody_is_a_dot_in_the_colour_of_their_group() -> None:
    picture = drawn(analysis())
    assert [len(dots(picture, name)) for name in ("group-A", "group-B", "in-no-group")] == [3, 2, 1]
    colours = {group.attrib["fill"] for group in picture.findall(f"{SVG}g") if "fill" in group.attrib}
    assert len(colours) == 3


def test_dots_are_as_far_apart_as_people_are_in_any_direction_and_up_is_up() -> None:
    picture = drawn(analysis())
    places = [(x, y) for x, y, _ in PLACES.values()]
    pixels = dots(picture, "group-A") + dots(picture, "group-B")
    unit = dist(pixels[0], pixels[1]) / dist(places[0], places[1])
    for pixel, place in zip(pixels, places, strict=True):
        assert pixel[0] - pixels[0][0] == pytest.approx((place[0] - places[0][0]) * unit, abs=0.5)
        assert pixels[0][1] - pixel[1] == pytest.approx((place[1] - places[0][1]) * unit, abs=0.5)


def test_groups_axes_and_title_are_named() -> None:
    said = texts(drawn(analysis()))
    assert {"A", "B", "3 people", "2 people", "A < B & C"} <= {*said}
    assert any(text.startswith("first component: 50%") for text in said)
    assert any(text.startswith("second component: 25%") for text in said)
    assert {"-2", "0", "2"} <= {*said}
    assert any("6 people, 6 votes; 5 in 2 opinion groups" in text for text in said)


def test_whoever_is_in_no_group_and_far_away_is_left_out_and_nothing_is_outside_the_picture() -> None:
    found = analysis()
    found.participants.add(user_id="far", x=100, y=-100)
    picture = drawn(found)
    assert len(dots(picture, "in-no-group")) == 1
    for name in ("group-A", "group-B", "in-no-group"):
        assert all(0 < x < 1000 and 0 < y < 800 for x, y in dots(picture, name))


@pytest.mark.parametrize("people", [0, 1, 3], ids=["nobody", "one", "three at one place"])
def test_a_conversation_without_groups_has_a_map(people: int) -> None:
    found = resources.Analysis(participant_count=people, explained_variance=[0, 0])
    for n in range(people):
        found.participants.add(user_id=str(n))
    picture = drawn(found)
    assert len(dots(picture, "in-no-group")) == people
    assert any("no opinion groups" in text for text in texts(picture))
