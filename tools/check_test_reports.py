"""Fails when fewer tests ran than were promised, or when one was skipped for a reason nobody agreed to.

    python -m tools.check_test_reports FOLDER --minimum FILE --skips FILE

FOLDER holds JUnit reports; the minimum is a number; the skips are regular expressions, one a line.
"""

import argparse
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from xml.etree import ElementTree


def read(reports: Iterable[Path]) -> tuple[set[str], dict[str, str]]:
    """The tests that ran, and the reasons of those that did not."""
    ran: set[str] = set()
    skipped: dict[str, str] = {}
    for report in reports:
        for case in ElementTree.parse(report).iter("testcase"):  # noqa: S314 - our own reports
            name = f"{case.get('classname')}::{case.get('name')}"
            skip = case.find("skipped")
            if skip is None:
                ran.add(name)
            else:
                skipped[name] = skip.get("message") or "no reason given"
    return ran, {name: reason for name, reason in skipped.items() if name not in ran}


def problems(ran: set[str], skipped: dict[str, str], minimum: int, allowed: Sequence[str]) -> list[str]:
    unexpected = [
        f"skipped: {name}: {reason}"
        for name, reason in sorted(skipped.items())
        if not any(re.search(pattern, reason) for pattern in allowed)
    ]
    if len(ran) < minimum:
        unexpected.append(f"{len(ran)} tests ran, at least {minimum} were promised")
    return unexpected


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reports", type=Path)
    parser.add_argument("--minimum", type=Path, required=True)
    parser.add_argument("--skips", type=Path, required=True)
    options = parser.parse_args()
    ran, skipped = read(sorted(options.reports.glob("*.xml")))
    lines = [line.strip() for line in options.skips.read_text().splitlines()]
    allowed = [line for line in lines if line and not line.startswith("#")]
    minimum = int(options.minimum.read_text())
    if found := problems(ran, skipped, minimum, allowed):
        sys.exit("\n".join(found))
    print(f"{len(ran)} tests ran (at least {minimum} were promised), {len(skipped)} left out for agreed reasons")


if __name__ == "__main__":
    main()
