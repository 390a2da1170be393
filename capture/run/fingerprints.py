"""Every setting is proven by its sound before a take is recorded at it.

1. The knobs are set, the unit comes to rest, the probe is played: 6 s, kept as evidence.
2. The response is measured, and judged by what the enrolled unit would show at this setting and at
   those that differ from it in one knob or two (``signal/fingerprint``).
3. Doubtful: the probe is played once more, and the better of the two counts. It is borne with if
   the label is the likeliest and fits; a sound that fits nothing is no better than a contradiction.
4. Contradicted: whoever turns the knobs is told which one looks wrong and what it looks like, and
   the setting is set again. Nothing is ever recorded under a label that the sound contradicts.
5. Confirmed: the visit refines the model, now and after every start (confirmed visits are replayed
   from the ledger).
6. While music plays the model goes on watching (``passive``). Music that contradicts the label
   voids its take and the one behind it; takes before it that were never confirmed, back to the last
   proof, are withdrawn. Then the setting is set and proven again. A probe knows better than music:
   a take that the music contradicts again after that is kept, with a warning.

Without enrolment the verdict is 'not verifiable'; the response is measured and kept all the same.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from capture.dataset import files
from capture.dataset.audio import FlacWriter
from capture.dataset.folder import Folder
from capture.errors import DeviceLost, HardwareFault, MeasurementFailed
from capture.hardware.ports import Audio, Label
from capture.hardware.profile import RigProfile
from capture.model import Control, Setting, Value, Verdict
from capture.records import (
    CalibrationRecord,
    EnrolmentRecord,
    FingerprintRecord,
    LawRecord,
    MeasuredFigure,
    utc_now,
)
from capture.run import events, probe
from capture.run.bench import Bench
from capture.run.control_voltage import ControlVoltage
from capture.run.ledger import Ledger
from capture.signal.fingerprint import enrol, greybox, passive, response, verdict
from capture.signal.fingerprint.enrol import Visit
from capture.signal.fingerprint.greybox import Model
from capture.signal.fingerprint.passive import Watch
from capture.signal.fingerprint.probe import probe as probe_at
from capture.signal.fingerprint.stretches import Heard
from capture.signal.fingerprint.verdict import Verdict as Said

TRIES = 3
"""How often a setting is set before its contradiction ends the run; and how often a stream that
stumbles is given another chance."""
FIGURES = (
    "threshold_db", "slope", "ratio", "knee_db", "attack_ms", "release_fast_ms", "release_slow_ms",
    "slow_share",
)  # fmt: skip


class Fingerprints:
    """Proves settings; remembers what it has learnt of the unit."""

    def __init__(
        self,
        folder: Folder,
        ledger: Ledger,
        profile: RigProfile,
        observe: events.Observer,
        stop: Callable[[], None],
    ) -> None:
        self._folder, self._ledger, self._observe, self._stop = folder, ledger, observe, stop
        self._controls = profile.control_values
        self._on = profile.calibration is not None and profile.calibration.fingerprint
        self._model: Model | None = None
        self._enrolment_id: str | None = None
        self.current: FingerprintRecord | None = None
        """Of the setting at which the knobs stand."""
        self._unproven: list[str] = []
        self.recorded: list[str] = []
        """The takes that were committed since the knobs were last set."""
        if self._on and (enrolments := ledger.enrolments(own=True)):
            self._enrolment_id = enrolments[-1].enrolment_id
            self._model = Model.from_json(enrolments[-1].model)
            for _, self._model in learnt(enrolments[-1], ledger.fingerprints()):
                pass  # it is all of them that it has learnt from

    def proven(self, setting: Setting) -> bool:
        """Whether nothing more need be proven of the setting at which the knobs stand."""
        return not self._on or (
            self.current is not None and Setting(self.current.setting) == setting
        )

    def visit(self, bench: Bench, setting: Setting) -> None:
        """Sets the knobs and proves it. Raises HardwareFault if the sound goes on to contradict."""
        self.current, self._unproven = None, []
        if not self._on:
            bench.turn(setting)
            self.recorded = []
            return
        for attempt in range(1, TRIES + 1):
            self._stop()
            bench.turn(setting)
            self.recorded = []
            found = self._judged(bench, setting)
            self._ledger.add_fingerprint(found)
            self._observe(events.Fingerprinted(found, attempt))
            if found.accepted:
                self.current = found
                return
            bench.forget_knobs()
        raise HardwareFault(
            f"the knobs do not stand at {setting}: {TRIES} times the sound said otherwise",
            "see to the knobs and their driver; if the unit was changed, enrol it anew: "
            "capture calibrate --enrol",
        )

    def watch(self, setting: Setting) -> Callable[[Heard], Watch] | None:
        """What looks whether a take of music is like ``setting``; None if that is not enrolled."""
        return watcher(self._model, self._controls, setting) if self._model else None

    def landed(self, take_id: str, knobs: Verdict) -> None:
        """A take was committed, and the music said so of the knobs."""
        self.recorded.append(take_id)
        if knobs == "pass":
            self._unproven = []
        elif self.watched:
            self._unproven.append(take_id)

    @property
    def watched(self) -> bool:
        """Whether music is compared with anything."""
        return self._model is not None

    def moved(self) -> list[str]:
        """The music says that a knob was moved: the takes at this setting that are in doubt now."""
        doubted, self._unproven, self.current = self._unproven, [], None
        return doubted

    def _judged(self, bench: Bench, setting: Setting) -> FingerprintRecord:
        """One visit; two probes if the first one leaves a doubt."""
        first = self._probed(bench, setting, 1)
        if first[1].word != "doubtful":
            return self._kept(bench, setting, *first)
        second = self._probed(bench, setting, TRIES + 1)
        better = second if second[1].word != "doubtful" else first
        return self._kept(bench, setting, *better)

    def _probed(
        self, bench: Bench, setting: Setting, first: int
    ) -> tuple[probe.Played, Said, Visit]:
        played, found = self._measured(bench, setting, setting.setting_id, first)
        return played, verdict.judge(self._expected(setting), found.features, setting), found

    def _measured(
        self, bench: Bench, setting: Setting, subject: str, first: int
    ) -> tuple[probe.Played, Visit]:
        """The response at ``setting``; a stream that stumbles is measured anew."""
        last = first + TRIES - 1
        for attempt in range(first, last + 1):
            self._stop()
            bench.rest(setting)
            label = Label("fingerprint", subject, attempt)
            try:
                return probed(bench.audio, bench.calibration, bench.law, setting, label)
            except DeviceLost:
                raise
            except MeasurementFailed:
                if attempt == last:
                    raise
                if not bench.measure():  # the stream may have slipped; or the device was lost
                    bench.must_turn(setting)
        raise AssertionError  # the last attempt returns or raises

    def _expected(self, setting: Setting) -> greybox.Forecast | None:
        if self._model is None:
            return None
        near = greybox.candidates(self._model, setting, neighbours(self._controls, setting))
        return greybox.forecast(self._model, [s for s in near if self._model.knows(s)])

    def _kept(
        self, bench: Bench, setting: Setting, played: probe.Played, said: Said, found: Visit
    ) -> FingerprintRecord:
        name = probe.name_of("fp", [played], bench.calibration.law, str(setting), said)
        path = self._folder.fingerprint_file(setting.setting_id, name)
        _write(path, played)
        if said.word == "confirmed" and self._model is not None:
            self._model = enrol.refine(self._model, found.features, setting)
        return FingerprintRecord(
            fingerprint_id=name,
            measured_at=utc_now(),
            setting=dict(setting),
            enrolment_id=self._enrolment_id,
            calibration_id=bench.calibration.calibration_id,
            verdict=said.word,
            accepted=accepted(said, setting),
            reason=said.reason,
            most_likely=dict(said.most_likely) if said.most_likely else None,
            log10_odds=said.log10_odds,
            left=said.left,
            moved={move.name: move.amount for move in said.moves},
            wrong={
                knob.control: knob.looks_like
                for knob in said.knobs
                if knob.looks_like != setting[knob.control]
            },
            alike=tuple(f"{alike.setting}: {alike.reason}" for alike in said.alike),
            figures=_figures(found.response),
            most_reduction_db=found.response.most_reduction_db,
            audio_error_db=found.response.audio_error_db,
            features_db=found.features.values_db,
            noise_db=found.features.noise_db,
            rest_noise_db=found.features.rest_noise_db,
            sample_rate_hz=found.features.sample_rate_hz,
            file=self._folder.relative(path),
            sha256=files.sha256(path),
            bytes=path.stat().st_size,
            algorithm_version=verdict.ALGORITHM_VERSION,
        )

    def enrol(self, bench: Bench, positions: dict[str, Sequence[Value]]) -> EnrolmentRecord:
        """Probes the unit at some settings and fits its model. Raises BadInput, HardwareFault."""
        visits: list[Visit] = []
        played: dict[str, probe.Played] = {}
        for setting in greybox.enrolment_settings(positions):
            self._stop()
            bench.must_turn(setting)
            self._observe(events.EnrolmentStep(setting, len(visits) + 1))
            one, found = self._measured(bench, setting, f"enrol-{setting.setting_id}", 1)
            played[setting.setting_id] = one
            visits.append(found)
        model = enrol.enrol(visits)
        figures = {"model": model.to_json(), "settings": [str(v.setting) for v in visits]}
        name = probe.name_of("enrol", played.values(), bench.calibration.law)
        record = EnrolmentRecord(
            enrolment_id=name,
            measured_at=utc_now(),
            law_id=bench.calibration.law_id,
            settings=tuple(visit.setting.setting_id for visit in visits),
            model=model.to_json(),
            misfit_db=float(sum(m * m for m in model.misfit_db) / len(model.misfit_db)) ** 0.5,
            files=probe.keep(self._folder.root, name, played, figures),
            algorithm_version=greybox.ALGORITHM_VERSION,
        )
        self._ledger.add_enrolment(record)
        self._model, self._enrolment_id = model, name
        return record


def probed(
    audio: Audio,
    calibration: CalibrationRecord,
    law: LawRecord | None,
    setting: Setting,
    label: Label,
) -> tuple[probe.Played, Visit]:
    """Plays the probe, the unit being at rest, and measures the response.

    Raises MeasurementFailed with the reason, DeviceLost.
    """
    made = probe_at(audio.sample_rate_hz)
    latency = calibration.latency_frames
    played = probe.play(audio, made.samples, label, latency)
    probe.require_whole(played, "fingerprint", made.frames + latency)
    cv = ControlVoltage(law, audio.sample_rate_hz).probe(played.column("cv")[latency:])
    reduction_db = response.reduction(made, cv, calibration.law)
    features = response.features(made, reduction_db)
    returned = played.pair()[latency:]
    return played, Visit(
        setting, features, response.response(made, reduction_db, features, returned)
    )


def watcher(
    model: Model, controls: Sequence[Control], setting: Setting
) -> Callable[[Heard], Watch] | None:
    """What looks whether a take of music is like ``setting``; None if that is not enrolled."""
    if not model.knows(setting):
        return None
    places = {control.name: _positions(control) for control in controls}
    near = (s for s in greybox.neighbours(setting, places) if model.knows(s))
    others = greybox.candidates(model, setting, near)[1:]
    return lambda heard: passive.watch(model, setting, others, heard)


def accepted(said: Said, label: Setting) -> bool:
    """Whether takes may be recorded under ``label``."""
    if said.word == "doubtful":
        moved = any(abs(move.sigmas) > greybox.MOVED for move in said.moves)
        fits = said.left is not None and said.left <= verdict.FITS and not moved
        return fits and said.most_likely == label
    return said.word != "contradicted"


def neighbours(controls: Sequence[Control], label: Setting) -> Iterator[Setting]:
    """``label``, and every setting that differs from it in one knob or two."""
    yield label
    others = {
        control.name: [value for value in _positions(control) if value != label[control.name]]
        for control in controls
    }
    for count in (1, 2):
        for names in itertools.combinations(others, count):
            for values in itertools.product(*(others[name] for name in names)):
                yield Setting({**label, **dict(zip(names, values, strict=True))})


def _positions(control: Control) -> list[Value]:
    """Of a knob without clicks, its marks; none where it has too many to count."""
    return [control.value_at(index) for index in range(control.count)]


def learnt(
    enrolment: EnrolmentRecord, visits: Iterable[FingerprintRecord]
) -> Iterator[tuple[FingerprintRecord, Model]]:
    """The visits that were judged by this enrolment, each with the model as it was after it."""
    model = Model.from_json(enrolment.model)
    for visit in visits:
        if visit.enrolment_id != enrolment.enrolment_id:
            continue
        if visit.verdict == "confirmed":
            features = response.Features(
                visit.sample_rate_hz, visit.features_db, visit.noise_db, visit.rest_noise_db
            )
            model = enrol.refine(model, features, Setting(visit.setting))
        yield visit, model


def _figures(found: response.Response) -> dict[str, MeasuredFigure | None]:
    figures = {name: getattr(found, name) for name in FIGURES}
    return {
        name: MeasuredFigure(**asdict(figure)) if figure else None
        for name, figure in figures.items()
    }


def _write(path: Path, played: probe.Played) -> None:
    with (
        files.staged(path) as (part,),
        FlacWriter(part, played.sample_rate_hz, played.received.shape[1]) as writer,
    ):
        writer.write(played.received)
