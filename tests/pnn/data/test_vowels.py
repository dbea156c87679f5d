import sys

import numpy as np
import pytest

from devices.extras import MissingExtraError
from pnn.data import load, split

SEVEN = ("iy", "aa", "uw", "ae", "ao", "er", "ih")


@pytest.fixture(scope="module")
def vowels():
    pytest.importorskip("parselmouth")
    return load("vowels")


def test_the_table_has_76_speakers_who_say_each_vowel_twice(vowels):
    assert vowels.X.shape == (76 * 7 * 2, 3)
    assert vowels.classes == SEVEN
    assert vowels.feature_names == ("F1", "F2", "F3")
    for speaker in np.unique(vowels.groups):
        assert np.bincount(vowels.y[vowels.groups == speaker]).tolist() == [2] * 7


def test_the_means_are_those_of_the_paper(vowels):
    # Peterson & Barney (1952), table II: men, F1 to F3 of heed and hod, in Hz. The averages printed
    # there are rounded, and differ by up to 2.4 % from those of the table in circulation.
    men = load("vowels", sex="men")
    for vowel, expected in (("iy", (270, 2290, 3010)), ("aa", (730, 1090, 2440))):
        mean = men.X[men.y == men.classes.index(vowel)].mean(axis=0)
        np.testing.assert_allclose(mean, expected, rtol=0.03)


def test_speakers_vowels_and_features_can_be_chosen(vowels):
    data = load("vowels", sex=["women", "children"], vowels=["uw", "iy"], features=["F0", "F2"])
    assert data.classes == ("uw", "iy")
    assert data.X.shape == ((28 + 15) * 4, 2)
    assert load("vowels", vowels=3).classes == SEVEN[:3]
    assert len(load("vowels", vowels="all").classes) == 10
    assert load("vowels", features="F1").X.shape == (1064, 1)


def test_no_speaker_is_on_both_sides_of_a_split(vowels):
    train, test = split(vowels, seed=1)
    assert not set(vowels.groups[train]) & set(vowels.groups[test])
    counts = np.bincount(vowels.y[test])
    assert counts.min() == counts.max()
    assert abs(len(test) / len(vowels.X) - 0.2) < 0.03


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sex": "male"}, "sex='male': 'male' is not known; .* of men, women, children"),
        ({"vowels": 11}, r"vowels=11 must be 2 \.\.\. 10"),
        ({"vowels": ["iy", "oy"]}, "'oy' is not known"),
        ({"vowels": ["iy"]}, "give at least 2"),
        ({"vowels": 2.5}, "2.5 is not known"),
        ({"features": ["F1", "F1"]}, "given twice"),
        ({"features": []}, "give at least 1 of F0, F1, F2, F3"),
        ({"speaker": 3}, "no option 'speaker'; its options are pool=None, sex='all', vowels=7"),
    ],
)
def test_wrong_options_are_answered_with_the_right_ones(options, message):
    with pytest.raises(ValueError, match=message):
        load("vowels", **options)


def test_without_praat_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "parselmouth", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'pnn-toolkit\[vowels\]'"):
        load("vowels")


TABLE = "file,vowel,talker,F1,F2,F3\n" + "".join(
    f"{v}{t},{v},t{t},{300 + 10 * t},{2000 - 10 * t},{2500 + t}\n"
    for v in ("ae", "iy")
    for t in range(6)
)


def test_formants_from_a_table_of_ones_own(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text(TABLE)
    data = load("formants", path=path, group="talker")
    assert data.classes == ("ae", "iy")
    assert data.X[1].tolist() == [310, 1990, 2501]
    assert data.groups.tolist() == [f"t{t}" for t in range(6)] * 2
    assert load("formants", path=path, features=["F2"]).groups is None


def test_a_formant_of_zero_is_one_that_was_not_measured(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text(TABLE.replace("2503", "0"))
    with pytest.raises(ValueError, match=r"F3 is 0 Hz in row 3 .*2 rows have one"):
        load("formants", path=path)


def test_formants_need_a_path_and_known_columns(tmp_path):
    with pytest.raises(ValueError, match="give path="):
        load("formants")
    path = tmp_path / "mine.csv"
    path.write_text(TABLE)
    with pytest.raises(ValueError, match=r"group='speaker': no columns are called so.* talker"):
        load("formants", path=path, group="speaker")
    with pytest.raises(ValueError, match=r"no option 'target'; its options are .*label='vowel'"):
        load("formants", path=path, target="vowel")
