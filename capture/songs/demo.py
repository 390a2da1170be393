"""Built-in songs, synthesised: a first session needs no audio files.

They are made to exercise a compressor as unmastered music does: short loud hits over quiet
passages, 13 to 21 dB between peak and RMS, sustained notes as well as transients, something
in the middle and something at the sides. Four bars at 110 beats a minute: one quiet, one in
between, one loud, and a break that ends in a crash. The loudest hits are a little saturated, as
by a tape machine. The numbers are seeded; ``VERSION`` changes whenever the sound does.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

VERSION = 1
SAMPLE_RATE_HZ = 44100
FRAMES = 9 * SAMPLE_RATE_HZ
PEAK = 0.5
SATURATION = 2.0

Mono = NDArray[np.float64]
Stereo = NDArray[np.float64]

BEAT_S = 60 / 110
BAR_LEVELS_DB = (-14.0, -6.0, 0.0, -18.0)
CRASH_BEAT = 15
# The harmony, a bar each: root as MIDI note, then the chord over it.
ROOTS = (33, 29, 36, 31)
CHORDS = ((57, 60, 64, 67), (57, 60, 65, 69), (55, 60, 64, 71), (55, 59, 62, 69))


def synthesise(name: str) -> Stereo:
    """The song ``name``: float64, shape (FRAMES, 2), at 44.1 kHz. Raises KeyError."""
    song = DEMOS[name](np.random.default_rng(20260101))
    song = np.tanh(SATURATION * song / np.max(np.abs(song)))
    ring_out = np.minimum(1.0, np.arange(FRAMES, 0, -1) / (0.3 * SAMPLE_RATE_HZ))
    return song * ring_out[:, np.newaxis] * (PEAK / np.max(np.abs(song)))


def _drums(random: np.random.Generator) -> Stereo:
    track = np.zeros((FRAMES, 2))
    kick, snare, hat, crash = _kick(), _snare(random), _hat(random, 0.05), _hat(random, 1.4)
    for bar, level_db in enumerate(BAR_LEVELS_DB):
        for eighth in range(8):
            beat = 4 * bar + eighth / 2
            accent_db = 0.0 if eighth % 2 == 0 else -6.0
            _add(track, hat, beat, level_db - 14 + accent_db + random.normal(0, 1), 0.5)
            if eighth in (0, 3, 4):
                _add(track, kick, beat, level_db + accent_db / 2, 0.0)
            if eighth in (2, 6):
                _add(track, snare, beat, level_db - 2 + random.normal(0, 0.5), -0.15)
            if eighth in (5, 7):  # ghost notes
                _add(track, snare, beat, level_db - 22, -0.15)
    for sound, level_db in ((kick, 1.0), (snare, 0.0), (crash, -8.0)):
        _add(track, sound, CRASH_BEAT, level_db, 0.3 if sound is crash else 0.0)
    return track


def _bass(random: np.random.Generator) -> Stereo:
    track = np.zeros((FRAMES, 2))
    for bar, (root, level_db) in enumerate(zip(ROOTS, BAR_LEVELS_DB, strict=True)):
        for eighth, step in ((0, 0), (1, 0), (3, 12), (4, 0), (6, 7), (7, 10)):
            note = _pluck(root + step, 0.5 if eighth in (3, 7) else 0.9, 12, 7.0)
            level = 0.6 * level_db - (8 if eighth == 1 else 0) + random.normal(0, 0.7)
            _add(track, note, 4 * bar + eighth / 2, level, 0.0)
    _add(track, _pluck(ROOTS[0], 1.2, 12, 4.0), CRASH_BEAT, 1.0, 0.0)
    return track


def _chords(random: np.random.Generator) -> Stereo:
    track = np.zeros((FRAMES, 2))
    for bar, (chord, level_db) in enumerate(zip(CHORDS, BAR_LEVELS_DB, strict=True)):
        for beat, length_s, accent_db in ((0.0, 1.6, 0.0), (1.5, 0.3, -4.0), (3.0, 0.6, -9.0)):
            for voice, note in enumerate(chord):
                sound = _pluck(note, length_s, 6, 2.5)
                pan = -0.7 + 1.4 * voice / (len(chord) - 1)
                level = 0.8 * level_db + accent_db - 2 * voice + random.normal(0, 0.5)
                _add(track, sound, 4 * bar + beat + 0.02 * voice, level, pan)
    for voice, note in enumerate(CHORDS[0]):
        _add(track, _pluck(note, 1.4, 6, 2.0), CRASH_BEAT + 0.02 * voice, 0.0, 0.5 * (-1) ** voice)
    return track


def _groove(random: np.random.Generator) -> Stereo:
    """All of them together."""
    parts = ((_drums, 1.0), (_bass, 0.45), (_chords, 0.3))
    songs = [(part(random), level) for part, level in parts]
    return np.sum([song * (level / np.max(np.abs(song))) for song, level in songs], axis=0)


DEMOS: dict[str, Callable[[np.random.Generator], Stereo]] = {
    "bass": _bass,
    "chords": _chords,
    "drums": _drums,
    "groove": _groove,
}


def _add(track: Stereo, sound: Mono, beat: float, level_db: float, pan: float) -> None:
    """Adds ``sound`` at ``beat``; ``pan`` from -1 (left) to 1 (right), of equal power."""
    start = round(beat * BEAT_S * SAMPLE_RATE_HZ)
    angle = (pan + 1) * np.pi / 4
    room = track[start : start + len(sound)]
    gains = 10 ** (level_db / 20) * np.array([np.cos(angle), np.sin(angle)])
    room += sound[: len(room), np.newaxis] * gains


def _time_s(length_s: float) -> Mono:
    return np.arange(round(length_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ


def _kick() -> Mono:
    t = _time_s(0.35)
    phase = 2 * np.pi * (48 * t + 4.5 * (1 - np.exp(-t / 0.03)))
    return np.sin(phase) * np.exp(-t / 0.12) + 0.3 * np.exp(-t / 0.002) * np.sin(2e4 * t)


def _snare(random: np.random.Generator) -> Mono:
    t = _time_s(0.3)
    rattle = np.diff(random.standard_normal(len(t) + 1)) * np.exp(-t / 0.07)
    return 0.35 * rattle + 0.6 * np.sin(2 * np.pi * 190 * t) * np.exp(-t / 0.04)


def _hat(random: np.random.Generator, decay_s: float) -> Mono:
    """Noise, differentiated twice so that it is bright."""
    t = _time_s(min(4 * decay_s, 1.6))
    fade_out = np.minimum(1.0, (t[-1] - t) / 0.02)
    return np.diff(random.standard_normal(len(t) + 2), 2) * 0.3 * np.exp(-t / decay_s) * fade_out


def _pluck(note: int, length_s: float, partials: int, decay: float) -> Mono:
    """A struck string: partials that fall off upwards, the higher ones dying sooner."""
    t = _time_s(length_s)
    pitch_hz = 440 * 2 ** ((note - 69) / 12)
    edges = np.minimum(1.0, t / 0.004) * np.minimum(1.0, (length_s - t) / 0.03)
    tone = np.zeros(len(t))
    for k in range(1, partials + 1):
        tone += np.sin(2 * np.pi * k * pitch_hz * t + 0.7 * k) * np.exp(-t * decay * k**0.7) / k
    return tone * edges
