"""The opened rig on the bench: its calibration, its knobs; what to do when the device is lost.

A calibration holds for the stream that it was measured on. So it is measured whenever the stream
is opened, and again when a take shows that the stream has slipped.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable
from pathlib import Path

from capture.errors import DeviceLost, HardwareFault, MeasurementFailed
from capture.hardware.ports import Audio, Declined, Label, Proof, Rig
from capture.hardware.profile import RigProfile
from capture.model import Setting
from capture.records import CalibrationRecord, LawRecord, VisitRecord, utc_now
from capture.run import calibrate, cv_law, events
from capture.run.ledger import Ledger
from capture.signal import cv_delay
from capture.signal.levels import codes_of

TRIES = 3
"""How often a latency is measured before it is given up: a stream may stumble."""
MOST_LOSSES = 5
"""A device that is lost so many times without one take in between is not worth waiting for."""
LOOK_S = 0.5


class Bench:
    """Raises HardwareFault when the rig cannot be opened or its latency not be measured."""

    def __init__(
        self,
        rig: Rig,
        profile: RigProfile,
        root: Path,
        ledger: Ledger,
        observe: events.Observer,
        stop: Callable[[], None],
        law: LawRecord | None = None,
    ) -> None:
        self._rig, self._profile, self._root = rig, profile, root
        self._ledger, self._observe, self._stop = ledger, observe, stop
        self._setting: Setting | None = None
        self._losses = 0
        self._cold = profile.settle.warm_up_s > 0
        self.law = law
        self.proof: Proof | None = None
        self.calibration = self._begin()

    @property
    def audio(self) -> Audio:
        return self._rig.audio

    def stands_at(self, setting: Setting) -> bool:
        return self._setting == setting

    def turn(self, setting: Setting) -> None:
        """Sets the knobs, unless they stand there. Raises HardwareFault, Declined."""
        if not self.stands_at(setting):
            self._setting = None
            self.proof = proof = self._set(setting)
            self._setting = setting
            read = dict(proof.position) if proof.position else None
            self._ledger.add_visit(
                VisitRecord(dict(setting), utc_now(), proof.confirmed, read, proof.waited_s)
            )
            self._observe(events.KnobsSet(setting, proof.confirmed, proof.waited_s))

    def _set(self, setting: Setting) -> Proof:
        """A driver that fails is told once more: a controller that was reset homes, and goes on."""
        try:
            return self._rig.knobs.set(setting)
        except DeviceLost:
            raise
        except HardwareFault as fault:
            self._observe(events.Note(f"{'; '.join(fault.messages)}: the knobs are set once more"))
            return self._rig.knobs.set(setting)

    def warm_up(self) -> None:
        """Plays noise of all levels, as long as the profile asks for, if that was not done yet.

        A device that is lost meanwhile is waited for. Raises HardwareFault, as ``recover`` does.
        """
        if lost := self._warmed():
            self.recover(lost)

    def _warmed(self) -> DeviceLost | None:
        """Warms a cold rack up. What came in between, if the device was lost: it is cold still."""
        if not self._cold:
            return None
        seconds, rate = self._profile.settle.warm_up_s, self.audio.sample_rate_hz
        self._observe(events.WarmingUp(seconds))
        noise = codes_of(cv_delay.probe(rate))
        times = math.ceil(seconds * rate / len(noise))
        try:
            for _ in self.audio.record(itertools.repeat(noise, times), Label("warm_up", "noise")):
                self._stop()
        except DeviceLost as lost:
            return lost
        self._cold = False
        return None

    def must_turn(self, setting: Setting) -> None:
        """``turn`` where nothing can be measured otherwise. Raises HardwareFault."""
        try:
            self.turn(setting)
        except Declined as declined:
            raise HardwareFault(
                f"the knobs were not set to {setting}, where something is to be measured: "
                f"{declined.reason or declined.what}"
            ) from None

    def moved(self) -> tuple[str, ...]:
        """What their driver says against the knobs standing where they were set; then they are to
        be set anew."""
        if self._setting is None:
            return ()
        try:
            self._rig.knobs.verify(self._setting)
        except HardwareFault as fault:
            self._setting = None
            return fault.messages
        return ()

    def forget_knobs(self) -> None:
        """Wherever they stand: the next ``turn`` sets them."""
        self._setting = None
        self._rig.knobs.forget()

    def adopt(self, law: LawRecord) -> None:
        """Takes are from now on labelled with this law."""
        self.law = law
        if self._setting is not None:  # what the law was measured with must have died away
            self.rest(self._setting)
        self.measure()

    def rest(self, setting: Setting) -> None:
        """Silence, until the unit at ``setting`` has come to rest."""
        self.audio.settle(round(self._profile.settle_s(setting) * self.audio.sample_rate_hz))

    def measure_law(self, setting: Setting, number: int, send_gain_db: float) -> LawRecord:
        """Turns the knobs to ``setting`` and measures the CV's law, the dataset's ``number``th.

        ``send_gain_db``: the plan's. A device that is lost meanwhile is waited for; a stream that
        stumbles is measured anew. Raises HardwareFault.
        """
        for attempt in range(1, TRIES + 1):
            self._stop()
            try:
                self.must_turn(setting)
                self.rest(setting)
                label = Label("law", str(number), attempt)
                return cv_law.measure(
                    self.audio,
                    self.calibration,
                    self._profile,
                    setting,
                    send_gain_db,
                    self._root,
                    label,
                )
            except DeviceLost as lost:
                self.recover(lost)
            except MeasurementFailed:
                if attempt == TRIES:
                    raise
                self.measure()  # the stream may have slipped
        raise HardwareFault(f"the CV's law could not be measured: the device went {TRIES} times")

    def worn(self, seconds: float) -> bool:
        """Whether the stream would be too old after so many more seconds of audio."""
        after_s = self.audio.frames / self.audio.sample_rate_hz + seconds
        return after_s > self._profile.audio.reopen_after_s and self._used

    def landed(self) -> None:
        """A take was recorded well: the device is sound."""
        self._losses, self._used = 0, True

    def refresh(self) -> None:
        """Opens the stream anew, as is done from time to time. Raises HardwareFault."""
        try:
            self._rig.reopen_audio()
            self.calibration = self._begin()
        except HardwareFault as fault:
            self.recover(fault)
        else:
            self._observe(events.DeviceOpened(lost=False))

    def measure(self) -> bool:
        """Measures the latency anew. False if the device did not answer, and was waited for.

        Raises HardwareFault, as ``recover`` does.
        """
        try:
            self.calibration = self._measured()
        except HardwareFault as fault:
            self.recover(fault)
            return False
        return True

    def recover(self, reason: HardwareFault) -> None:
        """Waits for a lost device and opens it anew, with the knobs where nobody knows.

        A rack that lost power is cold, and nobody can tell a pulled cable from that: it is warmed
        up again. Raises HardwareFault when the device does not come back in time, or is lost again
        and again.
        """
        lost: HardwareFault | None = reason
        while lost is not None:
            self._wait_for(lost)
            lost = self._warmed()

    def _wait_for(self, reason: HardwareFault) -> None:
        wait_s = self._profile.audio.wait_for_device_s
        self._losses += 1
        if self._losses > MOST_LOSSES:
            raise HardwareFault(
                f"the device was lost {MOST_LOSSES} times without a take in between", str(reason)
            )
        self._observe(events.DeviceGone("; ".join(reason.messages), wait_s))
        self._setting = None
        self._cold = self._profile.settle.warm_up_s > 0
        until = time.monotonic() + wait_s
        while True:
            try:
                self._rig.reopen_audio()
                self.calibration = self._begin()
            except HardwareFault as fault:
                if time.monotonic() >= until:
                    raise HardwareFault(
                        f"the device did not come back within {wait_s:g} s; all that was captured "
                        "is saved, run the same command again to go on",
                        *fault.messages,
                    ) from None
            else:
                self._observe(events.DeviceOpened(lost=True))
                return
            self._stop()
            time.sleep(LOOK_S)

    def close(self) -> None:
        self._rig.close()

    def _begin(self) -> CalibrationRecord:
        """A stream just opened: lets the unit come to rest, measures."""
        self._used = False
        self.audio.settle(round(self._profile.settle.after_open_s * self.audio.sample_rate_hz))
        return self._measured()

    def _measured(self) -> CalibrationRecord:
        law_id = self.law.law_id if self.law else None
        law = self.law.law if self.law else calibrate.expected_law(self._profile.cv)
        for attempt in range(1, TRIES + 1):
            self._stop()
            try:
                found = calibrate.measure_latency(self.audio, law, law_id, self._root, attempt)
            except DeviceLost:
                raise
            except MeasurementFailed:
                if attempt == TRIES:
                    raise
            else:
                self._ledger.add_calibration(found)
                self._observe(events.Calibrated(found))
                return found
        raise AssertionError  # the last attempt returns or raises
