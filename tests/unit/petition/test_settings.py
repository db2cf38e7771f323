"""Default thresholds come from configuration, and a bad configuration does not start."""

import pytest
from pydantic import ValidationError

from services.petition.settings import PetitionSettings


def test_each_type_has_its_defaults_and_every_other_type_the_general_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALLY_PETITION_DEFAULT_THRESHOLDS", '{"default": [7, 8], "school": [1]}')
    settings = PetitionSettings()
    assert settings.default_thresholds("school") == (1,)
    assert settings.default_thresholds("anything") == (7, 8)


@pytest.mark.parametrize(
    "thresholds",
    [
        {"local": (1, 2)},
        {"default": (0,)},
        {"default": (-1, 5)},
        {"default": (5, 5)},
        {"default": tuple(range(1, 22))},
        {"default": ("many",)},
    ],
    ids=["no default", "zero", "negative", "twice", "21", "a word"],
)
def test_thresholds_that_no_petition_could_have_are_refused(thresholds: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        PetitionSettings(petition_default_thresholds=thresholds)


def test_a_type_may_have_no_thresholds() -> None:
    settings = PetitionSettings(petition_default_thresholds={"default": ()})
    assert settings.default_thresholds("any") == ()
