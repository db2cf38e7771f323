"""Where a demo's conversation comes from."""

from pathlib import Path

import pytest

from libs.cli.scenario import sources

FILES = {
    "comments.csv": "timestamp,datetime,comment-id,author-id,agrees,disagrees,moderated,comment-body\n1,,0,7,0,0,1,Benches\n",
    "votes.csv": "timestamp,datetime,comment-id,voter-id,vote\n3,,0,7,-1\n2,,0,7,1\n",
    "summary.csv": "topic,Seats\nurl,https://polis.example/seats\n",
}


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_the_folder_that_is_given_comes_before_the_real_conversation(
    exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "REAL", exported / "nowhere")
    source = sources.source(exported, seed=1)
    assert (source.title, [opinion.body for opinion in source.opinions]) == ("Seats", ["Benches"])
    (standing,) = source.standing()
    assert len(source.votes) == 2 and standing.vote_time.nanos == 3_000_000


def test_the_real_conversation_is_taken_where_it_is_and_a_generated_one_where_it_is_not(
    exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "REAL", exported)
    assert sources.source(None, seed=1).title == "Seats"
    monkeypatch.setattr(sources, "REAL", exported / "nowhere")
    generated = sources.source(None, seed=1)
    assert (len(generated.opinions), len(generated.votes)) == (sources.OPINIONS, sources.VOTES)
    assert len({vote.participant_external_id for vote in generated.votes}) == sources.PEOPLE
    assert sources.source(None, seed=1).votes == generated.votes != sources.source(None, seed=2).votes
