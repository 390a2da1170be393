"""What is measured over PortAudio and JACK, against what the rack really did.

The server freewheels. The rack's truth has every frame that it sent, the unit's gain on every frame
that it heard, and every turn of its knobs. So nothing here is compared with an estimate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile

from capture.hardware.rack.truth import Truth
from tests.jack.conftest import Lab, codes_of, labs, place
from tests.jackserver import JackServer
from tests.rack.conftest import document
from tests.session.conftest import RATE_HZ, rows

Start = Callable[..., Lab]
Row = dict[str, str]

KNOBS = ("threshold_db", "attack_ms", "release_s", "ratio")
SIMULATION = document({})["simulation"]
CONVERTERS, CV = SIMULATION["converters"], SIMULATION["cv"]
VOLTS_PER_FS = document({})["cv"]["volts_per_fs"]
RIG = {"freewheel": True, "settle_s": 1.0, "calibrated": True}
SONG_S, SILENCE_S, REST_S = 4.0, 0.1, 0.09
"""A song; what it begins with; and as much of that as no filter has mixed with the song."""
SLIPS_NOWHERE = {"kind": "knob_slips", "control": "release_s", "actual": 0.1}
MARGIN = 4096


@pytest.fixture(scope="module")
def period() -> int:
    return 4096


@dataclass(frozen=True)
class Recorded:
    """A dataset, and the one start of a rack that its takes were recorded from."""

    dataset: Path
    truth: Truth

    @property
    def delay_frames(self) -> dict[str, float]:
        """By input: the rack's own, from what it hears to what it sends."""
        (epoch,) = self.truth.of("epoch")
        return epoch["delay_frames"]

    def path_frames(self, calibration_id: str) -> int | None:
        """How many frames JACK and PortAudio add to the rack's own delay.

        The rack knows when it heard the probe begin, and where what came back of it stands in what
        it sent. Both are whole frames. None: it was another start of the rack.
        """
        folder = self.dataset / "calibration" / calibration_id
        sent = soundfile.read(folder / "latency-sent.flac", dtype="int32")[0]
        received = soundfile.read(folder / "latency-received.flac", dtype="int32")[0]
        begun = place(self.truth, received[:, :3])
        if begun is None:
            return None
        begun += int(np.flatnonzero(sent.any(axis=1))[0])
        return min((take["first_frame"] - begun for take in self.truth.of("take_begin")), key=abs)

    def first_frame(self, take: Row) -> int:
        """Which of the frames that the rack heard is frame 0 of the song."""
        begun = place(self.truth, codes_of(self.dataset, take))
        path_frames = self.path_frames(take["calibration_id"])
        assert begun is not None, f"{take['output_file']} is not what the rack sent"
        assert path_frames is not None
        return begun - int(take["latency_frames"]) + path_frames

    def error_db(self, take: Row) -> np.ndarray:
        """The gain that the take's row makes of its CV, less the unit's, frame by frame."""
        shown = soundfile.read(self.dataset / take["cv_file"])[0]
        gain_db = repaired(shown, take) * float(take["gain_db_per_fs"])
        gain_db += float(take["gain_db_at_zero"])
        first = self.first_frame(take)
        true_db = self.truth.gain_db[first - MARGIN : first + len(shown) + MARGIN]
        return gain_db - later(true_db, float(take["delay_cv_frames"]))[MARGIN:-MARGIN]

    def knobs(self, take: Row) -> dict[str, float]:
        """Where the knobs really stood during ``take``: none was moved in it."""
        first = self.first_frame(take)
        turns = [(event["frame"], event["setting"]) for event in self.truth.of("knobs")]
        turns += [
            (event["frame"], event["fault"]["setting"])
            for event in self.truth.of("fault")
            if event["fault"]["kind"] == "knob_moved"
        ]
        end = first + int(take["num_frames"])
        frame, setting = max((turn for turn in turns if turn[0] < end), key=lambda turn: turn[0])
        assert frame < first
        return {name: float(setting[name]) for name in KNOBS}


def repaired(shown: np.ndarray, take: Row) -> np.ndarray:
    """The formula of docs/measurements.md, for an AC-coupled CV."""
    if not take["cv_corner_hz"]:
        return shown
    w = 2 * np.pi * float(take["cv_corner_hz"]) / RATE_HZ
    v = shown - float(take["cv_offset_fs"])
    return v + float(take["cv_start_fs"]) + w * (np.cumsum(v) - (v + v[0]) / 2)


def later(x: np.ndarray, frames: float) -> np.ndarray:
    turn = np.exp(-2j * np.pi * frames * np.fft.rfftfreq(len(x)))
    return np.fft.irfft(np.fft.rfft(x) * turn, len(x))


def rms(x: np.ndarray | list[float]) -> float:
    return float(np.sqrt(np.mean(np.square(x))))


def figures(error: np.ndarray | list[float], unit: str) -> str:
    size = np.abs(error)
    most = np.quantile(size, 0.999)
    return f"{rms(error):.6f} {unit} rms, 99.9 % below {most:.6f}, worst {size.max():.6f}"


# A unit that is as its profile says: calibrated, enrolled; its knobs stuck, slipping, moved, well.

MOVED = {"threshold_db": -28, "attack_ms": 0.1, "release_s": 0.1, "ratio": 5}


@dataclass(frozen=True)
class Story(Recorded):
    """Two runs, and what they said; the second recorded. The rack was started anew between them."""

    before: Recorded
    stuck: str
    said: str


@pytest.fixture(scope="module")
def story(server: JackServer, tmp_path_factory: pytest.TempPathFactory) -> Story:
    folder = tmp_path_factory.mktemp("story")
    with labs(server, folder) as start:
        lab = start()
        lab.songs(2, SONG_S, SILENCE_S)
        lab.rig(**RIG)
        plan = lab.plan("-28", "0.1", "0.1", "4, 10")
        lab.desk.ok("calibrate", plan, "--out", "d", "--enrol")
        for _ in range(3):
            lab.rack.fault(kind="knob_slips", control="ratio", actual=3)
        stuck = lab.desk.fails(4, "run", plan, "--out", "d")
        lab.rack.stop()
        # The rack hears the latency's two sweeps, a probe for each setting of the knobs, a song.
        moved = {"kind": "knob_moved", "setting": MOVED, "at_s": SONG_S / 2}
        lab = start(faults=["ok", "ok", "ok", "ok", moved])
        lab.rack.fault(kind="knob_slips", control="threshold_db", actual=-24)
        said = lab.desk.ok("run", plan, "--out", "d")
        lab.desk.ok("verify", "d")
    before, truth = lab.truths()
    dataset = folder / "d"
    return Story(dataset, truth, Recorded(dataset, before), stuck, said)


def test_the_latency_of_each_stream_and_channel_is_the_racks(story: Story) -> None:
    errors: list[float] = []
    for calibration in rows(story.dataset, "calibrations"):
        for start in (story.before, story):
            if (path_frames := start.path_frames(calibration["calibration_id"])) is None:
                continue
            for name in ("left", "right", "loopback"):
                found = float(calibration[f"delay_{name}_frames"])
                errors.append(found - path_frames - start.delay_frames[name])
                assert calibration[f"inverted_{name}"] == "false"
            break  # two starts may have sent the same frames: their noise is one, counted from 0
    assert len(errors) == 3 * len(rows(story.dataset, "calibrations"))
    print(f"\n{len(errors)} delays: {figures(errors, 'frame')}")
    assert max(map(abs, errors)) < 0.001


def test_the_law_is_the_racks(story: Story) -> None:
    gain_db = np.linspace(-20, 0, 401)
    cv_fs = (CV["volts_per_db"] * gain_db + CV["volts_at_0db"]) / VOLTS_PER_FS
    cv_fs += CONVERTERS["dc_fs"]["cv"]
    laws = rows(story.dataset, "laws")
    assert [law["previous_id"] for law in laws] == ["", laws[0]["law_id"]]
    assert float(laws[1]["drift_db"]) < 0.001
    for law in laws:
        found_db = cv_fs * float(law["gain_db_per_fs"]) + float(law["gain_db_at_zero"])
        print(f"\nlaw: {figures(found_db - gain_db, 'dB')}")
        assert rms(found_db - gain_db) < 0.001


def test_the_cv_is_so_much_later_than_the_audio(story: Story) -> None:
    pole = np.exp(-2 * np.pi * CV["bandwidth_hz"] / RATE_HZ)
    skew = CONVERTERS["skew_frames"]
    true = skew["cv"] - skew["left"] + pole / (1 - pole)
    errors = [float(law["cv_delay_frames"]) - true for law in rows(story.dataset, "laws")]
    print(f"\nCV delay: {figures(errors, 'frame')}")
    assert max(map(abs, errors)) < 0.05


def test_the_gain_of_every_take_is_the_units(story: Story) -> None:
    takes = rows(story.dataset)
    assert len(takes) == 4
    for take in takes:
        error_db = story.error_db(take)
        print(f"\n{take['setting_id']}: {figures(error_db, 'dB')}")
        assert rms(error_db) < 0.005
        assert np.quantile(np.abs(error_db), 0.999) < 0.05


def test_a_knob_that_stands_elsewhere_is_named_and_nothing_recorded_as_what_it_is_not(
    story: Story,
) -> None:
    assert story.stuck.count("ratio looks like 3: set it again") == 3
    assert "0 of 4 takes captured" in story.stuck
    assert story.said.count("threshold_db looks like -24: set it again") == 1
    assert "a knob was moved: from" in story.said
    assert "s on it looks like attack_ms 0.1, ratio 5" in story.said
    proofs = rows(story.dataset, "fingerprints")
    assert [(proof["verdict"], proof["wrong"]) for proof in proofs] == [
        *[("contradicted", "ratio 3")] * 3,
        ("contradicted", "threshold_db -24"),
        *[("confirmed", "")] * 3,  # the first setting was set again after the knob was moved
    ]
    for take in rows(story.dataset):
        assert take["fingerprint_verdict"] == "confirmed"
        assert {name: float(take[name]) for name in KNOBS} == story.knobs(take)


# Units that are not.


def test_an_ac_coupled_cv_is_refused_or_made_good_for(start_lab: Start) -> None:
    lab = start_lab(always=[{"kind": "cv_ac", "corner_hz": 0.1}])
    lab.songs(2, SONG_S, SILENCE_S)
    plan = lab.plan("-28", "0.1", "0.1", "10")
    lab.rig(**RIG)
    assert "AC-coupled" in lab.desk.fails(4, "calibrate", plan, "--out", "dc")
    lab.rig(**RIG, coupling="ac")
    lab.desk.ok("run", plan, "--out", "d")
    lab.rack.stop()
    (truth,) = lab.truths()
    found = Recorded(lab.folder / "d", truth)
    for law in rows(found.dataset, "laws"):
        print(f"\ncorner: {law['corner_hz']} +-{law['corner_uncertainty_hz']} Hz")
        assert float(law["corner_hz"]) == pytest.approx(0.1, rel=1e-3)
    takes = rows(found.dataset)
    assert len(takes) == 2
    for take in takes:
        error_db = found.error_db(take)
        print(f"\nrepaired: {figures(error_db, 'dB')}")
        assert rms(error_db) < 0.015


def test_a_law_that_moved_withdraws_what_it_brackets(start_lab: Start) -> None:
    """0.5 % is 0.11 dB at 22 dB of reduction: an uncompensated VCA that is 1.5 degrees warmer."""
    lab = start_lab()
    lab.songs(1, SONG_S, SILENCE_S)
    plan = lab.plan("-28", "0.1", "0.1", "4, 10")
    lab.rig(**RIG)
    # The knobs turn for the law and for the first setting; at the second the run ends.
    for fault in (SLIPS_NOWHERE, SLIPS_NOWHERE, *[{"kind": "knob"}] * 2):
        lab.rack.fault(**fault)
    assert "1 of 2 takes captured" in lab.desk.fails(4, "run", plan, "--out", "d")
    lab.rack.stop()
    lab = start_lab(always=[{"kind": "cv_scale", "percent": 0.5}])
    assert "2 takes withdrawn, to be recorded again" in lab.desk.ok("run", plan, "--out", "d")
    lab.rack.stop()
    found = Recorded(lab.folder / "d", lab.truths()[1])
    laws, takes = rows(found.dataset, "laws"), rows(found.dataset)
    drifts_db = [float(law["drift_db"]) for law in laws[1:]]
    print(f"\nthe law moved by {drifts_db} dB")
    assert drifts_db == pytest.approx([0.1115, 0.0], abs=0.001)
    law_of = {row["calibration_id"]: row["law_id"] for row in rows(found.dataset, "calibrations")}
    assert [law_of[take["calibration_id"]] for take in takes] == [laws[1]["law_id"]] * 2
    for take in takes:
        error_db = found.error_db(take)
        print(f"\n{take['setting_id']}: {figures(error_db, 'dB')}")
        assert rms(error_db) < 0.005
