"""Thousands of broken plans and rigs: each is answered, or refused with sentences. Nothing else.

Mutants are made from a seed, in bytes, in lines and in the tree, of the packaged presets and of a
plan and a rig that use every key. They go through all that ``capture plan`` does, in this process.
"""

from __future__ import annotations

import copy
import functools
import json
import random
import re
import string
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from capture import presets
from capture.documents import read
from capture.errors import BadInput
from capture.plan.expand import expand
from capture.plan.summary import summarize
from capture.run.asked import ask, survey_songs
from capture.run.session import timing
from capture.view import plan as view

SLOWEST_S = 15.0
"""No plan may take longer; most take some milliseconds."""

PLAN = """\
schema_version: 1
name: rich
rig: rig.yaml
songs: {paths: ["demo:drums", "demo:groove"], exclude: ["none.wav"], fade_in_s: 0.1, fade_out_s: 0}
level:
  normalize: peak
  target_db: -12.0
  send_gain_db: 5.0
  return_gain_db: -5.0
sample_rate_hz: 44100
grid:
  threshold_db: [-28, -24]
  attack_ms: [0.1, 0.3]
  release_s: &slow [0.1, auto]
  ratio: [2, 4]
exclude:
  - {when: {ratio: 2, threshold_db: -28}, reason: "no reduction"}
  - when: {release_s: *slow, attack_ms: [3]}
    reason: "never planned"
extra: {random: {count: 3, seed: 1}}
order: {settings: travel, songs: listed}
reference:
  setting: {threshold_db: -28, attack_ms: 0.1, release_s: auto, ratio: 4}
  every_settings: 4
splits: {seed: 1, test_songs: 1, seen: grid, unseen: extra}
checks: {retries: 2, full_scale_run_frames: 3, stuck_run_frames: 64, dead_below_db: -50.0}
"""
RIG = """\
schema_version: 1
name: small
audio:
  driver: simulated
  device: {name: box, host_api: ALSA, inputs: 4, outputs: 2}
  sample_rate_hz: 44100
  block_frames: 4096
  outputs: {left: 1, right: 2}
  inputs: {left: 1, right: 2, cv: 3, loopback: 4}
  dbfs_to_dbu: {outputs: {left: 19.0}, inputs: {cv: null}}
cv: {volts_per_fs: 2.5, expected_volts_per_db: -0.05, expected_volts_at_0db: 0.0, coupling: dc}
controls:
  threshold_db: {unit: dB, driver: manual, range: [-28, 12], step: 4, turn_s: 2.0, step_s: 0.2}
  attack_ms: {unit: ms, driver: simulated, positions: [0.1, 0.3, 1, 3], turn_s: 2}
  release_s:
    unit: s
    driver: simulated
    positions: [0.1, {value: 0.4, label: "0.4"}, {value: auto, settle_s: 55}]
  ratio: {unit: ":1", driver: simulated, positions: [2, 4, 10]}
settle: {after_open_s: 0.5, between_takes_s: 6.0}
simulation:
  unit:
    attack_ohm: {"0.1": 820, "0.3": 2.7e3, "1": 8.2e3, "3": 27e3}
    release_ohm: {"0.1": 180e3, "0.4": 360e3}
  converters: {latency_frames: 987, skew_frames: {left: 0.31, cv: 0.84}, mains_hz: 50}
  always: [ok, {kind: drift, ppm: 20}]
  faults: [swap, {kind: dead, channels: [left]}]
  wrong_knobs: [{control: ratio, position: 4, actual: 3}]
"""
RACK = """schema_version: 1
name: rack
audio: {driver: portaudio, device: {name: box, inputs: 4, outputs: 2}, sample_rate_hz: 44100,
        outputs: {left: 1, right: 2}, inputs: {left: 1, right: 2, cv: 3}}
cv: {volts_per_fs: 2.5, expected_volts_per_db: -0.05}
controls:
  threshold_db: {unit: dB, driver: manual, range: [-28, 12], step: 4}
  attack_ms: {unit: ms, driver: manual, positions: [0.1, 0.3, 1, 3]}
  release_s: {unit: s, driver: manual, positions: [0.1, 0.4, auto]}
  ratio: {unit: "", driver: manual, positions: [2, 4, 10]}
"""
SMALL = """{schema_version: 1, name: small, rig: rig.yaml, songs: {paths: ["demo:drums"]},
 level: {normalize: rms, target_db: -20}, sample_rate_hz: 48000,
 grid: {threshold_db: [-28], attack_ms: [3, 0.1], release_s: [auto], ratio: [2, 4]},
 extra: {random: {count: 2, seed: 7}}}
"""
BESIDE = {"plan": ("rig", RACK), "rig": ("plan", SMALL)}
"""What a mutant is read with: short, for speed."""
SEEDS: dict[str, list[str]] = {
    "plan": [PLAN] * 12 + [presets.packaged("plan", name) for name in presets.names("plan")],
    "rig": [RIG] * 9 + [presets.packaged("rig", name) for name in presets.names("rig")],
}
BITS = [
    *"\t\n :-[]{},&*!|>'\"%@`#?.~<=\\\x00\x07\x85\ufeff\u2028é",
    *("\r\n", "- ", ": ", "&a ", "*a", "!!", "!!set ", "<<: ", "---\n", "...\n", "%YAML 1.1\n"),
    *("auto", "null", "yes", "1e9", "-", "0x", "_", ".nan", "\\ud800", "9" * 30, '"', "? "),
]
JUNK: list[Any] = [
    None, True, False, 0, 1, -1, 3, 0.5, -0.0, 1e-320, 1e308, -1e308, 10**6, 10**9, 10**18, 2**63,
    10**35, "", "auto", "x", "4", "simulated", "~nobody/x", "nul\0", "a" * 5000, "2024-01-02", "\n",
    [], {}, [[]], [None], [1, 2], {"": 1}, {"a": 1}, {"kind": "swap"}, [0.1] * 3, [-1e308, 1e308],
    list(range(50)), [n / 10 for n in range(-280, 130, 7)],
]  # fmt: skip

Mutate = Callable[[random.Random, str], bytes]


def in_bytes(rng: random.Random, text: str) -> bytes:
    data = bytearray(text.encode())
    for _ in range(rng.choice([1, 1, 1, 2, 3, 8])):
        at = rng.randrange(len(data) + 1)
        until = min(len(data), at + rng.choice([0, 0, 1, 1, 2, 5, 40]))
        kind = rng.randrange(4)
        if kind == 0:
            data[at:until] = b""
        elif kind == 1:
            data[at:until] = bytes(data[at:until]) * 2
        elif kind == 2:
            data[at:until] = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 4)))
        else:
            data[at:until] = rng.choice(BITS).encode()
    return bytes(data)


def in_characters(rng: random.Random, text: str) -> bytes:
    """One value or one key is touched: most stay well-formed."""
    words = list(re.finditer(r"[\w.-]+", text))
    for word in sorted(rng.sample(words, rng.choice([1, 1, 2, 4])), key=lambda w: -w.start()):
        letters = list(word.group())
        at = rng.randrange(len(letters))
        letters[at : at + rng.randrange(2)] = rng.choice(string.ascii_lowercase + "0123456789.-_")
        text = text[: word.start()] + "".join(letters) + text[word.end() :]
    return text.encode()


def in_lines(rng: random.Random, text: str) -> bytes:
    lines = text.splitlines(keepends=True)
    others = rng.choice(SEEDS["plan"] + SEEDS["rig"]).splitlines(keepends=True)
    for _ in range(rng.choice([1, 1, 2, 4])):
        at = rng.randrange(len(lines))
        kind = rng.randrange(7)
        if kind == 0:
            del lines[at]
        elif kind == 1:
            lines.insert(at, lines[at])
        elif kind == 2:
            other = rng.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[at]
        elif kind == 3:
            lines[at] = " " * rng.randrange(1, 5) + lines[at]
        elif kind == 4:
            lines[at] = lines[at].lstrip()
        elif kind == 5:
            lines.insert(at, rng.choice(others))
        else:
            del lines[at + 1 :]
        lines = lines or ["\n"]
    return "".join(lines).encode()


@functools.cache
def as_tree(text: str) -> str:
    return json.dumps(read(text, "seed").data)


def places(tree: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) in a tree."""
    found: list[tuple[Any, Any]] = []
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
        found.append((tree, key))
        if isinstance(value, (dict, list)):
            found += places(value)
    return found


def in_the_tree(rng: random.Random, text: str) -> bytes:
    tree = json.loads(as_tree(text))
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        known = places(tree)
        if not known:
            break
        box, key = rng.choice(known)
        other, other_key = rng.choice(known)
        kind = rng.randrange(8)
        if kind <= 2:
            box[key] = copy.deepcopy(rng.choice(JUNK))
        elif kind == 3:
            del box[key]
        elif kind == 4 and isinstance(box, dict):
            box[str(key) + rng.choice(["", "s", "x"])[:1] + rng.choice(["", "_db"])] = box.pop(key)
        elif kind == 5 and isinstance(box, list):
            box.insert(key, copy.deepcopy(box[key]))
        elif kind == 6 and isinstance(box[key], (int, float)):
            box[key] *= rng.choice([-1, 0, 10, 1e3, 1e9, 1.0000001])
        else:
            box[key] = copy.deepcopy(other[other_key])
    return json.dumps(tree, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")


MUTATORS: list[Mutate] = [in_bytes, in_characters, in_lines, in_the_tree, in_the_tree]


def answer(plan: str, folder: Path) -> str:
    """All that ``capture plan`` does with it, in this process."""
    asked = ask(plan, None, folder)
    songs = survey_songs(asked, lambda _: None)
    expansion = expand(asked.spec, asked.controls, songs)
    summary = summarize(expansion, timing(asked))
    text = view.as_text(asked.spec.name, expansion, summary, [])
    json.dumps(view.as_json(asked.spec.name, expansion, summary, []), allow_nan=False)
    return text


def mutants(kind: str, seed: int, count: int) -> list[bytes]:
    rng = random.Random(f"{kind} {seed}")
    return [rng.choice(MUTATORS)(rng, rng.choice(SEEDS[kind])) for _ in range(count)]


@pytest.mark.parametrize("name", presets.names("plan"))
def test_every_seed_is_answered(name: str, tmp_path: Path) -> None:
    assert answer(name, tmp_path)


def beside(kind: str, folder: Path) -> Path:
    """Writes what a mutant of ``kind`` is read with; where the mutant goes."""
    other, text = BESIDE[kind]
    (folder / f"{other}.yaml").write_text(text)
    return folder / f"{kind}.yaml"


def refusal(folder: Path) -> BadInput | None:
    try:
        answer("plan.yaml", folder)
    except BadInput as error:
        return error
    return None


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("kind", ["plan", "rig"])
def test_mutants_are_answered_or_refused(kind: str, seed: int, tmp_path: Path) -> None:
    path = beside(kind, tmp_path)
    refused = 0
    count = 200 if kind == "plan" else 180
    for number, data in enumerate(mutants(kind, seed, count)):
        path.write_bytes(data)
        started = time.perf_counter()
        try:
            error = refusal(tmp_path)
        except Exception as escaped:
            escaped.add_note(f"mutant {number} of the {kind}:\n{data.decode(errors='replace')}")
            raise
        assert time.perf_counter() - started < SLOWEST_S, data
        if error is not None:
            refused += 1
            assert error.messages
            assert all(0 < len(message.strip()) < 1000 for message in error.messages)
            assert not any("Error" in message for message in error.messages), error.messages
    assert count / 3 < refused < 0.97 * count, "some mutants are still plans"


HUGE = ", ".join(map(str, range(400)))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("count: 3", "count: 1000000", "extra.random.count: must be less than or equal to 100000"),
        ("count: 3", "count: 100000", "is more than the"),
        ("threshold_db: [-28, -24]", f"threshold_db: [{HUGE}]", "0 is no position|is no position"),
        ("every_settings: 4", "every_settings: 0", "every_settings"),
        ("test_songs: 1", "test_songs: 3", "3 is more than the 2 songs"),
        ("name: rich", f"name: {'x' * 100_000}", "name: "),
        ("demo:groove", "a" * 300, "songs.paths: cannot be looked for: .*too long"),
        ("none.wav", "~nobody-of-this-name/x", "songs.paths: cannot be looked for"),
        ("rig: rig.yaml", f"rig: {'a' * 300}", "cannot be looked for: .*too long"),
    ],
)
def test_absurd_numbers_in_a_plan(tmp_path: Path, old: str, new: str, words: str) -> None:
    (tmp_path / "rig.yaml").write_text(RIG)
    (tmp_path / "plan.yaml").write_text(PLAN.replace(old, new))
    with pytest.raises(BadInput) as caught:
        answer("plan.yaml", tmp_path)
    assert re.search(words, str(caught.value))
    assert all(len(message) < 1000 for message in caught.value.messages)


@pytest.mark.parametrize("step", ["0.0001", "1e-300", "5e-324"])
def test_absurd_steps_in_a_rig(tmp_path: Path, step: str) -> None:
    (tmp_path / "rig.yaml").write_text(RIG.replace("step: 4", f"step: {step}"))
    (tmp_path / "plan.yaml").write_text(PLAN.replace("[-28, -24]", "[-28]"))
    assert "cannot draw from threshold_db" in str(refusal(tmp_path))


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("capture")
    return subprocess.run(
        [program, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("kind", ["plan", "rig"])
def test_mutants_through_the_command_line(kind: str, tmp_path: Path) -> None:
    """A process each: exit 2 and sentences, or 0 and the answer, as in this process."""
    path = beside(kind, tmp_path)
    codes: list[int] = []
    for data in mutants(kind, 99, 12):
        path.write_bytes(data)
        done = run("plan", "plan.yaml", "--json", folder=tmp_path)
        codes.append(done.returncode)
        assert done.returncode in (0, 2), done.stderr
        assert "Traceback" not in done.stderr
        told = json.loads(done.stdout)
        if done.returncode == 2:
            assert done.stderr.strip()
            assert told["error"]["exit_code"] == 2
            assert told["error"]["messages"]
        else:
            assert told["settings"] >= 1
    assert codes.count(2) >= 4
