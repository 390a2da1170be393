"""Records for hours, breaks things on purpose, and checks every take: ``make soak HOURS=8``.

A JACK server of its own; then round after round: a new rack, one ``capture run``, and every
captured take compared, frame for frame, with what the rack really sent. A round's files are deleted
when it has been checked, so the disk stays as full as one round makes it. The process ends with 1
if a take was captured that is not what the rack sent, or if a run ended as it should not.

Faults (``--faults``) come at the moments that a seeded generator picks among the progress events.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import secrets
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from tests.jack.conftest import Lab, Running, freeze, untrue
from tests.jack.test_freewheel import CLIPS, MUSIC
from tests.jackserver import MISSING, JackServer
from tests.rack.conftest import RackProcess
from tests.session.conftest import Desk, rows

SONGS, SONG_S = 10, 15
THRESHOLDS = "-28, -24, -20, -16"
MEAN_EVENTS_BETWEEN_FAULTS = 30
"""Progress events; there is one for every 1.5 s of audio."""
ENDS = {0: "finished", 3: "finished, takes rejected", 130: "interrupted"}


@dataclass
class Summary:
    """What happened; all times in seconds since the start."""

    seed: int
    rounds: int = 0
    wall_s: float = 0.0
    captured: int = 0
    audio_s: float = 0.0
    rejected: int = 0
    voids: list[dict[str, Any]] = field(default_factory=list)
    losses: list[dict[str, Any]] = field(default_factory=list)
    reopenings: int = 0
    faults: list[dict[str, Any]] = field(default_factory=list)
    rack_gaps: int = 0
    calibrations: list[dict[str, float]] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)
    bad_ends: list[str] = field(default_factory=list)
    untrue: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        return not self.untrue and not self.bad_ends

    def drift(self) -> dict[str, dict[str, float]]:
        """Of each channel's delay in frames, in all calibrations: least, most, slope an hour.

        ``fraction``: the same of what is left of it beside whole frames (a fault, or another
        opening, moves a delay by whole ones; a converter that drifts does not).
        """
        found: dict[str, dict[str, float]] = {}
        hours = np.array([entry["at_s"] for entry in self.calibrations]) / 3600
        for channel in ("left", "right") if self.calibrations else ():
            delays = np.array([entry[channel] for entry in self.calibrations])
            for name, values in ((channel, delays), (f"{channel} fraction", delays % 1)):
                slope = float(np.polyfit(hours, values, 1)[0]) if len(values) > 1 else 0.0
                found[name] = {"min": values.min(), "max": values.max(), "slope_per_hour": slope}
        return found

    def document(self) -> dict[str, Any]:
        return {**asdict(self), "drift": self.drift(), "sound": self.sound}


class Soak:
    """Rounds until the time is over."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._random = random.Random(options.seed)
        self._began = time.monotonic()
        self.summary = Summary(options.seed)

    @property
    def _at_s(self) -> float:
        return round(time.monotonic() - self._began, 1)

    @property
    def _over(self) -> bool:
        return self._at_s >= self._options.hours * 3600

    def run(self, folder: Path) -> None:
        limit_s = round(self._options.hours * 3600) + 1800
        server = JackServer(f"soak{os.getpid()}", period=self._options.period, limit_s=limit_s)
        server.start()
        try:
            while not self._over and self.summary.sound:
                self._round(server, folder / f"round{self.summary.rounds}")
        finally:
            server.stop()
            self.summary.wall_s = self._at_s

    def _round(self, server: JackServer, folder: Path) -> None:
        (folder / "rack").mkdir(parents=True)
        rack = RackProcess(server, folder / "rack")
        try:
            lab = Lab(server, rack, Desk(folder, server.variables))
            songs(lab)
            freewheel = self._options.freewheel
            lab.rig(freewheel=freewheel, reopen_after_s=self._options.reopen_after, settle_s=0.3)
            lab.plan(thresholds=THRESHOLDS)
            self._follow(lab, lab.run())
            rack.stop()
            self._check(lab)
        finally:
            rack.kill()
        self.summary.rounds += 1
        self._say_round()
        if self.summary.sound:  # else somebody will want to look at it
            shutil.rmtree(folder)

    def _follow(self, lab: Lab, running: Running) -> None:
        """To the end of a run: notes its events, makes faults, interrupts it when time is over."""
        asked = False
        try:
            for event in events(running):
                self._note(event)
                if event["event"] == "DeviceGone" and lab.rack.process.returncode is not None:
                    lab.rack.start()
                if self._over and not asked:
                    asked = True
                    running.process.send_signal(signal.SIGINT)
                elif not asked and self._options.faults and event["event"] == "TakeProgress":
                    self._maybe_break(lab.rack)
            out, _ = running.process.communicate(timeout=60)
        finally:
            running.kill()
        code = running.process.returncode
        self.summary.ends.append(ENDS.get(code, f"exit code {code}"))
        if code not in ENDS or (code == 130 and not asked):
            self.summary.bad_ends.append(f"round {self.summary.rounds}: exit code {code}: {out}")

    def _note(self, event: dict[str, Any]) -> None:
        summary, at = self.summary, {"at_s": self._at_s}
        match event["event"]:
            case "TakeVoid":
                take = event["take"]["take_id"]
                summary.voids.append(at | {"take": take, "reasons": event["reasons"]})
            case "TakeDone":
                summary.rejected += event["record"]["status"] == "rejected"
            case "DeviceGone":
                summary.losses.append(at | {"reason": event["reason"]})
            case "DeviceOpened":
                summary.reopenings += not event["lost"]
            case "Calibrated":
                delays = event["calibration"]["delays"]
                found = {name: delays[name]["delay_frames"] for name in ("left", "right")}
                summary.calibrations.append(at | found)

    def _maybe_break(self, rack: RackProcess) -> None:
        if rack.process.returncode is not None:  # dead, and nobody has noticed yet
            return
        if self._random.random() > 1 / MEAN_EVENTS_BETWEEN_FAULTS:
            return
        # jackd does not survive that a client is killed in freewheel.
        kinds = ["frozen", "lost", "doubled"] + ["killed"] * (not self._options.freewheel)
        kind, frames = self._random.choice(kinds), self._random.choice([1, 16, 64, 256])
        told: dict[str, Any] = {"at_s": self._at_s, "kind": kind}
        if kind == "frozen":
            told["for_s"] = round(self._random.uniform(0.05, 2.0), 2)
            freeze(rack.process.pid, told["for_s"])
        elif kind == "killed":
            rack.kill()  # started again as soon as the program has noticed
        else:
            told["frames"] = frames
            rack.fault(kind=f"{kind}_frames", frames=frames, at_s=0.0)
        self.summary.faults.append(told)
        print(f"{self._at_s:8.1f} s: fault: {told}", flush=True)

    def _check(self, lab: Lab) -> None:
        """Every captured take against what the rack sent."""
        if not (lab.folder / "d" / "manifest").is_dir():
            return  # interrupted before there was anything
        truths = lab.truths()
        kept = rows(lab.folder / "d")
        self.summary.captured += len(kept)
        self.summary.audio_s += sum(int(r["num_frames"]) / int(r["sample_rate_hz"]) for r in kept)
        self.summary.rack_gaps += sum(len(truth.of("gap")) for truth in truths)
        lies = untrue(lab.folder / "d", truths)
        self.summary.untrue += [f"{lab.folder}/d/{name}" for name in lies]

    def _say_round(self) -> None:
        s = self.summary
        print(
            f"{self._at_s:8.1f} s: round {s.rounds} {s.ends[-1]}: {s.captured} takes captured, "
            f"{s.audio_s:.0f} s of audio, {len(s.voids)} void, {len(s.losses)} losses, "
            f"{s.reopenings} reopenings, {len(s.untrue)} untrue",
            flush=True,
        )


def events(running: Running) -> Iterable[dict[str, Any]]:
    """The events of a run as they come."""
    assert running.process.stderr is not None
    for line in running.process.stderr:
        if line.startswith("{"):
            yield json.loads(line)
        else:
            print(line, end="", file=sys.stderr)


def songs(lab: Lab) -> None:
    """Real music where the Debian package is installed, else bursts of noise."""
    if not MUSIC.is_dir():
        lab.songs(SONGS, SONG_S)
        return
    (lab.folder / "songs").mkdir()
    for number, (name, second) in enumerate(CLIPS.items()):
        with soundfile.SoundFile(MUSIC / name) as file:
            file.seek(second * file.samplerate)
            audio = file.read(SONG_S * file.samplerate, always_2d=True)
            soundfile.write(lab.folder / f"songs/{number}.wav", audio, file.samplerate, "PCM_24")


def report(summary: Summary) -> None:
    print(f"\nsoak: {summary.wall_s / 3600:.3f} h, {summary.audio_s / 3600:.3f} h of audio in")
    print(f"{summary.captured} captured takes, {summary.rejected} rejected; seed {summary.seed}")
    print(f"rounds: {dict(Counter(summary.ends))}; the rack missed {summary.rack_gaps} times")
    print(f"faults made: {dict(Counter(fault['kind'] for fault in summary.faults))}")
    print(f"reopenings: {summary.reopenings}; losses: {len(summary.losses)}")
    for loss in summary.losses:
        print(f"  {loss['at_s']:8.1f} s  {loss['reason']}")
    print(f"dropouts: {len(summary.voids)} takes void")
    for void in summary.voids:
        print(f"  {void['at_s']:8.1f} s  {void['take']}: {'; '.join(void['reasons'])}")
    print(f"delay in frames, {len(summary.calibrations)} calibrations:")
    for name, figures in summary.drift().items():
        said = ", ".join(f"{key} {value:.4f}" for key, value in figures.items())
        print(f"  {name}: {said}")
    print(f"untrue takes: {summary.untrue or 'none'}")
    for words in summary.bad_ends:
        print(f"BAD END: {words}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--hours", type=float, required=True, help="a fraction will do: 0.02")
    parser.add_argument("--freewheel", action="store_true", help="as fast as the machine can")
    parser.add_argument("--faults", action="store_true", help="break things now and then")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6), help="of the faults")
    parser.add_argument("--reopen-after", type=float, default=120.0, metavar="S")
    parser.add_argument("--period", type=int, default=4096, help="of the JACK server, in frames")
    parser.add_argument("--report", type=Path, default=Path("datasets/soak.json"))
    options = parser.parse_args()
    if MISSING:
        parser.error(f"not installed: {', '.join(MISSING)}")
    print(f"seed {options.seed}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    soak = Soak(options)
    try:
        soak.run(folder)
    finally:
        options.report.parent.mkdir(parents=True, exist_ok=True)
        options.report.write_text(json.dumps(soak.summary.document(), indent=1) + "\n", "utf-8")
        report(soak.summary)
    if soak.summary.sound:
        shutil.rmtree(folder)
    return 0 if soak.summary.sound else 1


if __name__ == "__main__":
    sys.exit(main())
