"""YAML that people write: each fault a sentence at its line, all at once, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.documents import MAX_CHARACTERS, Document, nearest, read
from capture.errors import BadInput, Fault
from capture.hardware.profile import RigProfile
from capture.model import AUTO
from capture.plan.spec import PlanSpec

PLAN = """\
schema_version: 1
name: tested
songs: {paths: ["demo:drums"]}
level:
  normalize: peak
  target_db: -12
sample_rate_hz: 44100
grid:
  threshold_db: [-28, -24.5]
  release_s: [0.1, auto]
"""


def plan(old: str = "", new: str = "") -> PlanSpec:
    """The plan above with one piece of its text replaced."""
    assert old in PLAN
    return read(PLAN.replace(old, new) if old else PLAN + new, "p.yaml").check(PlanSpec)


def told(text: str) -> tuple[str, ...]:
    """Every message about a text that is no plan."""
    with pytest.raises(BadInput) as caught:
        read(text, "p.yaml").check(PlanSpec)
    assert caught.value.exit_code == 2
    assert all(message.startswith("p.yaml") and "\n" not in message for message in told_by(caught))
    return told_by(caught)


def told_by(caught: pytest.ExceptionInfo[BadInput]) -> tuple[str, ...]:
    return caught.value.messages


def test_the_plan_itself() -> None:
    spec = plan()
    assert spec.grid == {"threshold_db": [-28.0, -24.5], "release_s": [0.1, AUTO]}
    assert spec.grid["release_s"][1] is AUTO


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("auto", '"auto"'),
        ("auto", "!!str auto"),
        ("\n", "\r\n"),
        ("schema", "\ufeffschema"),
        ("[-28, -24.5]", "\n  - -28\n  - -24.5"),
        ("[-28, -24.5]", "[-2.8e1, -2_4.5]"),
        ("[0.1, auto]", "[1e-1, auto]"),
        ("44100", "0xAC44"),
        ("44100", "44100   # a comment"),
        ("schema", "%YAML 1.2\n---\nschema"),
        ("tested", "'tested'"),
        ("tested", "|-\n  tested"),
    ],
)
def test_other_ways_to_write_it(old: str, new: str) -> None:
    assert plan(old, new) == plan()


@pytest.mark.parametrize("name", ["2024-01-02", "2024-13-45", "12-30", "yes", "no", "on", "NULLs"])
def test_dates_and_words_stay_text(name: str) -> None:
    assert plan("tested", name).name == name


def test_anchors_aliases_and_merges() -> None:
    text = PLAN.replace("[0.1, auto]", "&r [0.1, auto]")
    text += "exclude: [{when: {release_s: *r}, reason: both}]\n"
    text += "reference: {every_settings: 3, setting: &cell {threshold_db: -28, release_s: 0.1}}\n"
    text += "extra:\n- {<<: *cell, release_s: 0.2}\n- <<: [{release_s: auto}, *cell]\n"
    spec = read(text, "p.yaml").check(PlanSpec)
    assert spec.exclude[0].when == {"release_s": [0.1, AUTO]}
    assert spec.extra is not None
    assert spec.extra.settings == [
        {"threshold_db": -28.0, "release_s": 0.2},
        {"threshold_db": -28.0, "release_s": AUTO},
    ]


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("tested", "tested\nname: again", 2, "name: is given again in line 3"),
        ("normalize: peak", "normalise: peak", 5, "level.normalise: unknown key; did you mean"),
        ("grid:", "gird:", 8, "gird: unknown key; did you mean 'grid'?"),
        ("normalize: peak", "normalize: loud", 5, "'peak', 'rms' or 'lufs', not \"loud\""),
        ("-12", ".nan", 6, "level.target_db: must be a finite number, not .nan"),
        ("-12", "-.inf", 6, "must be a finite number"),
        ("-12", "1e400", 6, "must be a finite number"),
        ("-12", "true", 6, "must be a valid number, not true"),
        ("-12", '"-12"', 6, 'must be a valid number, not "-12"'),
        ("-12", "", 6, "must be a valid number, not null"),
        ("-12", "3", 6, "less than or equal to 0, not 3"),
        ("tested", "17", 2, "name: must be text, not 17"),
        ("tested", "true", 2, "name: must be text, not true"),
        ("tested", "a b", 2, "name: "),
        ("tested", "[tested]", 2, "name: must be text"),
        ("44100", "44100.5", 7, "must be a valid integer, not 44100.5"),
        ("44100", "1:30", 7, 'must be a valid integer, not "1:30"'),
        ("44100", "9" * 5000, 7, "must be a finite number"),
        ("44100", "0x" + "f" * 5000, 7, "must be a finite number"),
        ("44100", "!!int soon", 7, "must be a finite number, not soon"),
        ("44100", "10000000000000000000000", 7, "less than or equal to 384000"),
        ("schema_version: 1", "schema_version: 2", 1, "schema_version: 2 is not known here"),
        ("-24.5", '"-24.5"', 9, "threshold_db[1]: '-24.5' is text: give a number without quotes"),
        ("-24.5", "yes", 9, "'yes' is text"),
        ("-24.5", "1:30", 9, "'1:30' is text"),
        ("-24.5", "true", 9, "threshold_db[1]: "),
        ("-24.5", "null", 9, "threshold_db[1]: "),
        ("-24.5", "[1]", 9, "threshold_db[1]: "),
        ("-24.5", "{a: 1}", 9, "threshold_db[1]: "),
        ("-24.5", "1" + "0" * 400, 9, "threshold_db[1]: must be a finite number"),
        ("auto", "Auto", 10, "'Auto' is text: give a number without quotes, or auto"),
        ("[0.1, auto]", "auto", 10, 'grid.release_s: must be a list, not "auto"'),
        ("[0.1, auto]", "[]", 10, "grid.release_s: "),
        ("release_s:", "5:", 10, "grid.5: a key must be text"),
        ("release_s:", "true:", 10, "grid.true: a key must be text"),
        ("release_s:", "~:", 10, "grid.~: a key must be text"),
        ("release_s:", "? [a, b]\n  :", 10, "a key must be text"),
        ("release_s:", "? {a: b}\n  :", 10, "a key must be text"),
        ("release_s:", '"\\ud800":', 8, "is no text"),
        ("tested", '"\\udfff"', 2, "is no text"),
        ("tested", "!!python/object:os.system ls", 2, "python/object:os.system' has no meaning"),
        ("tested", "!!python/object/apply:os.system [ls]", 2, "has no meaning here"),
        ("tested", "!mine tested", 2, "the tag '!mine' has no meaning here; remove it"),
        ("tested", "!!binary dGVzdGVk", 2, "has no meaning here"),
        ("[0.1, auto]", "!!set {0.1, auto}", 10, "has no meaning here"),
        ("[0.1, auto]", "!!omap [a: 1]", 10, "has no meaning here"),
        ("level:\n", "level: !!map\n  <<: 3\n", 4, "<< takes a mapping, or a list of mappings"),
        ("level:\n", "level: !!map\n  <<: [3]\n", 4, "<< takes a mapping, or a list of mappings"),
        ("  normalize", "\tnormalize", 5, "not valid YAML"),
        ("{paths", "{paths: &x *y, paths", 3, "not valid YAML"),
        ("tested", "*nobody", 2, "not valid YAML: found undefined alias"),
        ("tested", "tested\n---\na: 1", 3, "not valid YAML: expected a single document"),
        ("tested", "@tested", 2, "not valid YAML"),
        ("auto]", '"auto]', 11, "not valid YAML"),
        ("tested", '"\\q"', 2, "not valid YAML"),
        ("grid:", "grid: ]", 8, "not valid YAML"),
        ("schema", "%YAML 3.1\n---\nschema", 1, "not valid YAML"),
    ],
)  # fmt: skip
def test_one_fault_at_its_line(old: str, new: str, line: int, words: str) -> None:
    messages = told(PLAN.replace(old, new, 1))
    assert any(m.startswith(f"p.yaml, line {line}: ") and words in m for m in messages), messages


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing\n",
        "---\n",
        "- a\n- b\n",
        "word",
        "42",
        "null",
        "a: b: c",
        "\x00",
        "a: \x07",
        "a: &x [*x]",
        "a: &x {b: *x}",
        "a: &x {<<: *x}",
        "&x [*x]",
        "a: " + "[" * 50 + "]" * 50,
        "a: " + "[" * 30_000,
        "a: " + "{b: " * 30_000,
        "- " * 30_000,
        "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40)),
        "a0: &a0 {x: 1}\n"
        + "".join(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}\n" for n in range(1, 40)),
        "a: " + "x" * MAX_CHARACTERS,
    ],
    ids=lambda text: text[:12],
)
def test_what_is_no_document(text: str) -> None:
    assert told(text)


def test_every_fault_at_once() -> None:
    text = """\
schema_version: 1
nam: tested
songs: {paths: []}
level:
  normalize: peek
  target_db: .inf
  target_db: -3
sample_rate_hz: "44100"
grid: {ratio: [2, true]}
exclude:
- when: {ratio: 2}
- when: {ratio: no}
  reason: ""
checks: {retrys: 1, lag_frames: -1}
"""
    # What cannot be read comes first; then what does not fit.
    assert [message.split(": ")[0:2] for message in told(text)] == [
        ["p.yaml, line 6", "level.target_db"],
        ["p.yaml, line 6", "level.target_db"],
    ]
    text = text.replace("  target_db: .inf\n", "")
    assert [message.split(": ")[0:2] for message in told(text)] == [
        ["p.yaml, line 1", "name"],
        ["p.yaml, line 2", "nam"],
        ["p.yaml, line 3", "songs.paths"],
        ["p.yaml, line 5", "level.normalize"],
        ["p.yaml, line 7", "sample_rate_hz"],
        ["p.yaml, line 8", "grid.ratio[1]"],
        ["p.yaml, line 10", "exclude[0].reason"],
        ["p.yaml, line 11", "exclude[1].when.ratio[0]"],
        ["p.yaml, line 12", "exclude[1].reason"],
        ["p.yaml, line 13", "checks.lag_frames"],
        ["p.yaml, line 13", "checks.retrys"],
    ]


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ("extra: all", 'extra: must be a mapping, not "all"'),
        ("extra: [3]", "extra[0]: must be a mapping, not 3"),
        ("extra: {random: {count: 0, seed: 1}}", "extra.random.count: "),
        ("extra: {random: {count: 1000000000, seed: 1}}", "extra.random.count: "),
        ("extra: {random: {count: 3}}", "extra.random.seed: is missing"),
        ("extra: {randm: {count: 3, seed: 1}}", "extra.randm: unknown key; did you mean 'random'?"),
        ("extra: [{ratio: fast}]", "extra[0].ratio: 'fast' is text"),
        ("reference: {setting: {}, every_settings: 0}", "reference.every_settings: "),
        ("splits: {seed: -1, test_songs: 1}", "splits.seed: "),
        ("splits: {seed: 9223372036854775808, test_songs: 1}", "splits.seed: "),
        ("order: {settings: fast}", "order.settings: must be 'travel' or 'listed'"),
        ("exclude: [{when: {}, reason: r}]", "exclude[0].when: "),
        ("checks: {retries: 2.5}", "checks.retries: must be a valid integer"),
    ],
)
def test_faults_in_the_rest_of_a_plan(extra: str, words: str) -> None:
    (message,) = told(PLAN + extra)
    assert message.startswith(f"p.yaml, line 11: {words}")


def test_numbers_stay_what_they_are() -> None:
    data = read("{a: 1, b: 1.0, c: 0o17, d: -0x1F, e: 010, f: 1e3, g: true, h: 'true', i: =}", "x")
    assert data.data == {
        "a": 1, "b": 1.0, "c": 15, "d": -31, "e": 10, "f": 1000.0, "g": True, "h": "true", "i": "=",
    }  # fmt: skip
    assert [type(data.data[key]) for key in "abfg"] == [int, float, float, bool]


def test_lines_of_places_that_nobody_wrote() -> None:
    document = read("a:\n  b: [1,\n      2]\n", "x.yaml")
    refused = document.refuse(
        [
            Fault(("a", "b", 1, "c"), "deep"),
            Fault(("z",), "nowhere"),
            Fault(("a", "b", 0), "first"),
            Fault((), "all"),
        ]
    )
    assert refused.messages == (
        "x.yaml, line 1: z: nowhere",
        "x.yaml, line 1: all",
        "x.yaml, line 2: a.b[0]: first",
        "x.yaml, line 3: a.b[1].c: deep",
    )


def test_nearest() -> None:
    assert nearest("treshold", ["threshold", "ratio"]) == "; did you mean 'threshold'?"
    assert nearest("xyz", ["b", "a"]) == "; known: a, b"


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=("Cs", "Cc")))
)  # fmt: skip
KEYS = st.text(st.sampled_from("abcxyz_"), min_size=1, max_size=6)
TREES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4)
)


@given(st.dictionaries(KEYS, TREES, max_size=4))
def test_json_reads_as_itself(tree: dict[str, Any]) -> None:
    document = read(json.dumps(tree, ensure_ascii=True).replace("\\/", "/"), "x")
    assert document.data == json.loads(json.dumps(tree))


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    for model in (PlanSpec, RigProfile):
        with pytest.raises(BadInput):
            read(text, "x").check(model)


@given(st.dictionaries(st.sampled_from([*PlanSpec.model_fields]) | KEYS, TREES, max_size=14))
def test_any_tree_is_no_plan(tree: dict[str, Any]) -> None:
    document = Document("x", "", tree, {(): 1})
    with pytest.raises(BadInput) as caught:
        document.check(PlanSpec)
    assert all(message.startswith("x, line 1: ") for message in caught.value.messages)
