"""Values, settings, controls and the identities that are made from them."""

from __future__ import annotations

import hashlib
import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.model import (
    AUTO,
    MAX_POSITIONS,
    Control,
    Position,
    Recipe,
    Setting,
    Value,
    format_value,
    parse_value,
    song_id,
    take_id,
)

NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**20), 10**20)
VALUES = st.just(AUTO) | NUMBERS
NAMES = ("attack_ms", "ratio", "release_s", "threshold_db")
RECIPE = Recipe(44100, "peak", -12.0, 5.0, -5.0)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (AUTO, "auto"),
        (0.0, "0"),
        (-0.0, "0"),
        (-28.0, "-28"),
        (4, "4"),
        (0.1, "0.1"),
        (1e-7, "1e-07"),
        (1e20, "1e+20"),
        (123456789.5, "123456789.5"),
    ],
)
def test_a_value_has_one_text(value: Value, text: str) -> None:
    assert format_value(value) == text
    assert parse_value(text) == value


@given(VALUES)
def test_parsing_is_the_inverse_of_formatting(value: Value) -> None:
    read = parse_value(format_value(value))
    assert read is AUTO if value is AUTO else read == float(value)
    assert value is AUTO or read != 0 or math.copysign(1, read) == 1


@pytest.mark.parametrize(
    "bad", [None, True, False, "", "Auto", "AUTO", "nan", "inf", "-inf", math.nan, math.inf, [], {}]
)
def test_what_is_no_position_is_refused(bad: object) -> None:
    with pytest.raises(ValueError, match="is not a position"):
        parse_value(bad)


def test_a_number_too_large_for_a_float_is_refused() -> None:
    with pytest.raises(ValueError, match="is not a position"):
        parse_value(10**400)


def test_auto_is_a_type_of_its_own() -> None:
    assert AUTO != "auto"
    assert not isinstance(AUTO, (str, float))


@given(st.dictionaries(st.sampled_from(NAMES), VALUES), st.randoms())
def test_a_setting_does_not_depend_on_order(values: dict[str, Value], random: object) -> None:
    items = list(values.items())
    random.shuffle(items)  # type: ignore[attr-defined]
    one, other = Setting(values), Setting(dict(items))
    assert one == other
    assert hash(one) == hash(other)
    assert one.setting_id == other.setting_id
    assert dict(one) == values


@settings(max_examples=500)
@given(st.lists(st.tuples(*[VALUES] * 4), min_size=2, max_size=12))
def test_different_settings_have_different_ids(rows: list[tuple[Value, ...]]) -> None:
    different = {Setting(dict(zip(NAMES, row, strict=True))) for row in rows}
    ids = {setting.setting_id for setting in different}
    # Two integers that are one float are one position.
    floats = {
        tuple(v if v is AUTO else float(v) + 0.0 for v in setting.values()) for setting in different
    }
    assert len(ids) >= len(floats)


def test_look_alike_values_have_different_ids() -> None:
    alike = [
        1.5,
        15,
        0.15,
        -1.5,
        0.5,
        -0.5,
        5,
        1e20,
        1e-20,
        12,
        1e2,
        1e5,
        1.5e5,
        1.5e16,
        1e16,
        1e15,
    ]
    ids = [Setting({"ratio": value}).setting_id for value in alike]
    assert len(set(ids)) == len(alike)
    assert Setting({"ratio": 0.1}).setting_id == Setting({"ratio": 1e-1}).setting_id
    assert Setting({"ratio": 0.0}).setting_id == Setting({"ratio": -0.0}).setting_id


@given(st.fixed_dictionaries(dict.fromkeys(NAMES, VALUES)))
def test_ids_are_safe_in_file_names(values: dict[str, Value]) -> None:
    assert re.fullmatch(r"[a-z0-9_-]+", Setting(values).setting_id)


@given(st.text(), st.text(alphabet="0123456789abcdef", min_size=64, max_size=64))
def test_song_ids_are_safe_in_file_names(name: str, digest: str) -> None:
    made = song_id(name, digest)
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", made)
    assert made.endswith("-" + digest[:8])
    assert len(made) <= 49


def test_identities_never_change() -> None:
    """These stand in datasets: the same on every machine and Python version, for ever."""
    setting = Setting({"threshold_db": -28, "attack_ms": 0.1, "release_s": AUTO, "ratio": 4})
    assert setting.setting_id == "attack0p1_ratio4_releaseauto_threshold-28"
    assert str(setting) == "attack_ms 0.1, ratio 4, release_s auto, threshold_db -28"
    # The same worked by hand: the SHA-256 of what decides the sound, as compact JSON.
    content = (
        '["%s",44100,"peak","-12","5","-5","0","0",[["attack_ms","0.1"],["ratio","4"],'
        '["release_s","auto"],["threshold_db","-28"]],1]' % ("ab" * 32)
    )
    assert hashlib.sha256(content.encode()).hexdigest()[:20] == "2b7f8b16d87d409368d1"
    assert song_id("Blue Monday (live)", "3fa9c1d2" + "0" * 56) == "blue-monday-live-3fa9c1d2"
    assert take_id("ab" * 32, RECIPE, setting, 1) == "2b7f8b16d87d409368d1"
    assert take_id("ab" * 32, RECIPE, setting, 2) == "a0006ba7c8e3e14820b3"


def test_a_take_id_holds_everything_that_decides_the_sound() -> None:
    setting = Setting({"ratio": 4})
    made = [
        take_id("aa", RECIPE, setting, 1),
        take_id("ab", RECIPE, setting, 1),
        take_id("aa", RECIPE, setting, 2),
        take_id("aa", RECIPE, Setting({"ratio": AUTO}), 1),
        take_id("aa", Recipe(48000, "peak", -12.0, 5.0, -5.0), setting, 1),
        take_id("aa", Recipe(44100, "rms", -12.0, 5.0, -5.0), setting, 1),
        take_id("aa", Recipe(44100, "peak", -12.5, 5.0, -5.0), setting, 1),
        take_id("aa", Recipe(44100, "peak", -12.0, 5.5, -5.0), setting, 1),
        take_id("aa", Recipe(44100, "peak", -12.0, 5.0, -5.5), setting, 1),
        take_id("aa", Recipe(44100, "peak", -12.0, 5.0, -5.0, 0.5), setting, 1),
        take_id("aa", Recipe(44100, "peak", -12.0, 5.0, -5.0, 0.0, 0.5), setting, 1),
    ]
    assert len(set(made)) == len(made)


@given(st.lists(NUMBERS.map(float), min_size=1, unique=True))
def test_a_stepped_control_knows_its_places(values: list[float]) -> None:
    control = Control("x", "", tuple(Position("", v) for v in [*values, AUTO]))
    assert [control.place(control.value_at(i)) for i in range(control.count)] == list(
        range(len(values) + 1)
    )
    assert control.place(max(values) + 1) is None or max(values) + 1 == max(values)


@settings(max_examples=300)
@given(
    st.integers(-10_000, 10_000), st.integers(1, 20_000), st.integers(1, 3_000), st.integers(0, 3)
)
def test_a_range_knows_its_places(low: int, width: int, step: int, decimals: int) -> None:
    unit = 10**decimals
    control = Control("x", "", (), low / unit, (low + width) / unit, step / unit)
    written = [n / unit for n in range(low, low + width + 1, step)]
    assert control.count == len(written)
    shown = {*range(min(20, len(written))), len(written) - 1}
    for index in shown:
        assert control.value_at(index) == written[index]
        assert control.place(written[index]) == index
    assert control.place(written[-1] + step / unit) is None
    assert control.place(AUTO) is None
    if step > 1:
        assert control.place((low + 1) / unit) is None or width < 1


def test_no_two_values_share_a_place() -> None:
    control = Control("x", "", (), -28.0, 12.0, 0.1)
    assert control.place(-3.9) == 241
    assert control.place(math.nextafter(-3.9, 0)) is None


@pytest.mark.parametrize("step", [0.0, 1e-9, 5e-324])
def test_a_range_too_fine_to_count_takes_any_value(step: float) -> None:
    control = Control("x", "", (), 0.0, 40.0, step)
    assert control.count == 0
    assert control.place(0.123456789123) == pytest.approx(0.0308641972)
    assert control.place(40.1) is None


def test_the_finest_range_that_is_counted() -> None:
    control = Control("x", "", (), 0.0, (MAX_POSITIONS - 1) / 100, 0.01)
    assert control.count == MAX_POSITIONS


def test_a_long_setting_still_fits_a_file_name() -> None:
    values: dict[str, Value] = {f"knob{n}_with_a_long_name_db": n + 0.123456789 for n in range(40)}
    made = Setting(values).setting_id
    assert len(made) <= 120
    other = Setting(values | {"knob39_with_a_long_name_db": 0.5}).setting_id
    assert made != other
    assert made[:60] == other[:60]
