"""The opinion map as a picture (SVG): people as dots in the colour of their group, and where each group's centre is."""

from collections.abc import Iterable
from itertools import count
from math import ceil, floor
from xml.etree.ElementTree import Element, ElementTree, SubElement, indent

from tally.voting.v1 import analysis_pb2 as resources

from libs.cli.scenario.group_report import group_name

_WIDTH, _HEIGHT = 1000, 800
_TOP, _MARGIN = 90, 60
# That colour-blind people tell apart (Okabe and Ito), the dark ones first; and of those in no group.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00")
_NOBODYS, _INK, _NUMBERS, _LINES = "#c8c8c8", "#222222", "#666666", "#bbbbbb"
_NAMES = ("first", "second")
# Of what there is on an axis, on each side.
_AIR = 0.05
_STEPS = (1.0, 2.0, 5.0)
_MOST_TICKS = 7


class _Scale:
    """From the map to the picture; both axes alike, because distances mean something."""

    def __init__(self, points: list[tuple[float, float]]) -> None:
        points = [*points, (0.0, 0.0)]
        (self.left, self.right), (self.low, self.high) = (_widened(axis) for axis in zip(*points, strict=True))
        wide, tall = _WIDTH - 2 * _MARGIN, _HEIGHT - _TOP - _MARGIN
        self._unit = min(wide / (self.right - self.left), tall / (self.high - self.low))
        # What one axis does not need is shared out to both its ends.
        more = (wide / self._unit - (self.right - self.left)) / 2
        self.left, self.right = self.left - more, self.right + more
        more = (tall / self._unit - (self.high - self.low)) / 2
        self.low, self.high = self.low - more, self.high + more

    def x(self, x: float) -> float:
        return round(_MARGIN + (x - self.left) * self._unit, 1)

    def y(self, y: float) -> float:
        return round(_TOP + (self.high - y) * self._unit, 1)

    def has(self, x: float, y: float) -> bool:
        return self.left <= x <= self.right and self.low <= y <= self.high


def draw(analysis: resources.Analysis, title: str) -> ElementTree:
    """People who are in no group are drawn where the others are; further out, where few votes put them, they are left out.

    Args:
        analysis: with its participants.
    """
    colours = {group.group_id: _COLOURS[n % len(_COLOURS)] for n, group in enumerate(analysis.groups)}
    inside = [each for each in analysis.participants if each.HasField("group_id")]
    outside = [each for each in analysis.participants if not each.HasField("group_id")]
    scale = _Scale([(each.x, each.y) for each in inside or outside])
    size = {"width": str(_WIDTH), "height": str(_HEIGHT), "viewBox": f"0 0 {_WIDTH} {_HEIGHT}"}
    picture = Element("svg", {"xmlns": "http://www.w3.org/2000/svg", **size, "font-family": "sans-serif"})
    SubElement(picture, "title").text = title
    SubElement(picture, "rect", width="100%", height="100%", fill="white")
    _axes(picture, scale, list(analysis.explained_variance))
    nobodys = SubElement(picture, "g", id="in-no-group", fill=_NOBODYS)
    _dots(nobodys, scale, outside, "2.5")
    for group in analysis.groups:
        style = {"fill": colours[group.group_id], "fill-opacity": "0.55", "stroke": "white", "stroke-width": "0.4"}
        members = SubElement(picture, "g", {"id": f"group-{group_name(group.group_id)}", **style})
        _dots(members, scale, (each for each in inside if each.group_id == group.group_id), "4")
    for group in analysis.groups:
        _center(picture, scale, group, colours[group.group_id])
    _text(picture, _MARGIN, 38, title, 22, **{"font-weight": "bold"})
    _text(picture, _MARGIN, 64, _caption(analysis, len(inside)), 14)
    indent(picture)
    return ElementTree(picture)


def _caption(analysis: resources.Analysis, in_groups: int) -> str:
    many = len(analysis.groups)
    groups = f"{in_groups:,} in {many} opinion group{'s' if many > 1 else ''}" if many else "no opinion groups"
    return (
        f"{analysis.participant_count:,} people, {analysis.vote_count:,} votes; {groups}. "
        "Who is near votes alike; grey: too few votes to be in a group."
    )


def _axes(picture: Element, scale: _Scale, explained: list[float]) -> None:
    lines = SubElement(picture, "g", {"id": "axes", "stroke": _LINES, "stroke-width": "1"})
    left, right, top, bottom = scale.x(scale.left), scale.x(scale.right), scale.y(scale.high), scale.y(scale.low)
    _line(lines, left, scale.y(0), right, scale.y(0))
    _line(lines, scale.x(0), top, scale.x(0), bottom)
    for x in _ticks(scale.left, scale.right):
        _line(lines, scale.x(x), bottom, scale.x(x), bottom + 5)
        _text(picture, scale.x(x), bottom + 20, f"{x:g}", 12, fill=_NUMBERS, **{"text-anchor": "middle"})
    for y in _ticks(scale.low, scale.high):
        _line(lines, left - 5, scale.y(y), left, scale.y(y))
        _text(picture, left - 9, scale.y(y) + 4, f"{y:g}", 12, fill=_NUMBERS, **{"text-anchor": "end"})
    said = [
        f"{name} component: {share:.0%} of what people differ in" for name, share in zip(_NAMES, explained, strict=True)
    ]
    first, second = said
    _text(picture, right, bottom + 42, first, 13, **{"text-anchor": "end"})
    turned = {"text-anchor": "end", "transform": f"rotate(-90 {left - 40} {top})"}
    _text(picture, left - 40, top, second, 13, **turned)


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers in a range."""
    step = next(
        step * 10.0**power
        for power in count(-6)
        for step in _STEPS
        if (high - low) / (step * 10.0**power) <= _MOST_TICKS
    )
    return [n * step for n in range(ceil(low / step), floor(high / step) + 1)]


def _dots(into: Element, scale: _Scale, people: Iterable[resources.ParticipantPosition], radius: str) -> None:
    for each in people:
        if scale.has(each.x, each.y):
            SubElement(into, "circle", cx=f"{scale.x(each.x)}", cy=f"{scale.y(each.y)}", r=radius)


def _center(picture: Element, scale: _Scale, group: resources.OpinionGroup, colour: str) -> None:
    x, y = scale.x(group.center.x), scale.y(group.center.y)
    circle = {"cx": f"{x}", "cy": f"{y}", "r": "17", "fill": colour, "stroke": "white", "stroke-width": "2"}
    SubElement(picture, "circle", circle)
    centred = {"text-anchor": "middle", "font-weight": "bold"}
    _text(picture, x, y + 6, group_name(group.group_id), 18, fill="white", **centred)
    outline = {"stroke": "white", "stroke-width": "4", "paint-order": "stroke"}
    _text(picture, x, y + 34, f"{group.size:,} people", 14, **centred, **outline)


def _line(into: Element, x1: float, y1: float, x2: float, y2: float) -> None:
    SubElement(into, "line", x1=f"{x1:.1f}", y1=f"{y1:.1f}", x2=f"{x2:.1f}", y2=f"{y2:.1f}")


def _text(into: Element, x: float, y: float, text: str, size: int, fill: str = _INK, **style: str) -> None:
    place = {"x": f"{x:.1f}", "y": f"{y:.1f}", "fill": fill, "font-size": str(size)}
    SubElement(into, "text", {**place, **style}).text = text


def _widened(axis: Iterable[float]) -> tuple[float, float]:
    values = list(axis)
    air = _AIR * (max(values) - min(values)) or 1.0
    return min(values) - air, max(values) + air
