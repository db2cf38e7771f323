"""CI notices tests that went missing."""

from pathlib import Path

import pytest

from tools.check_test_reports import problems, read

REPORT = """<testsuites><testsuite>
<testcase classname="tests.a" name="test_one"/>
<testcase classname="tests.a" name="test_two"><failure message="no"/></testcase>
<testcase classname="tests.a" name="test_three"><skipped type="pytest.skip" message="no grpcurl"/></testcase>
</testsuite></testsuites>"""


@pytest.fixture
def report(tmp_path: Path) -> Path:
    path = tmp_path / "tests.xml"
    path.write_text(REPORT)
    return path


def test_a_skip_nobody_agreed_to_is_a_problem(report: Path) -> None:
    ran, skipped = read([report])
    assert problems(ran, skipped, 2, []) == ["skipped: tests.a::test_three: no grpcurl"]
    assert problems(ran, skipped, 2, ["^no grpcurl$"]) == []


def test_fewer_tests_than_promised_are_a_problem(report: Path) -> None:
    ran, skipped = read([report])
    assert problems(ran, skipped, 3, ["grpcurl"]) == ["2 tests ran, at least 3 were promised"]


def test_a_test_counts_once_however_many_reports_name_it(report: Path, tmp_path: Path) -> None:
    again = tmp_path / "heavy.xml"
    again.write_text(REPORT.replace('test_three"><skipped type="pytest.skip" message="no grpcurl"/>', 'test_three">'))
    ran, skipped = read([report, again])
    assert len(ran) == 3
    assert not skipped
