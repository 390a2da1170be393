"""The keys of Croissant's RAI vocabulary 1.0, from the facts of a release. Pure."""

from __future__ import annotations

from typing import Any

from capture.dataset.standards import figures
from capture.dataset.standards.facts import NOT_STATED, Facts

VERSIONS = (
    "Versions are MAJOR.MINOR.PATCH. PATCH: the same data, packed or described in another way. "
    "MINOR: what was there is unmodified, and something was added. MAJOR: what was there has "
    "changed or is gone. Audio files are never changed; every earlier release stays in releases/."
)


def keys(facts: Facts) -> dict[str, Any]:
    """Property to value. Nothing is said that was not measured, asked for, or stated."""
    level, release = facts.plan.level, facts.release
    device = figures.device(facts)
    return {
        "rai:dataCollection": (
            f"Each song was played through a dynamic range compressor ({facts.rig.name}; {device}) "
            "at each setting of a plan. The stereo return and the gain-control voltage were "
            "recorded together, in one piece with a marker before and after the song, cut at the "
            "measured whole-frame latency, checked, and kept only if every check passed."
        ),
        "rai:dataCollectionType": ["Direct measurement", "Physical data collection"]
        if not facts.rig.simulated
        else ["Software Collection"],
        "rai:dataCollectionRawData": (
            "Raw converter values at 24 bits: inputs as played, returns and control voltage as "
            "recorded. What the law, the latency and the settings were measured from is in "
            "calibration/ and evidence/."
        ),
        "rai:dataCollectionTimeframe": list(facts.captured),
        "rai:dataCollectionMissingData": missing(release),
        "rai:dataPreprocessingProtocol": [
            f"Songs: resampled to {facts.plan.sample_rate_hz} Hz, normalised by {level.normalize} "
            f"to {level.target_db:g} dB; played {level.send_gain_db:+g} dB louder than their file.",
            "Recordings: cut at the whole-frame latency and encoded as FLAC; nothing else.",
        ],
        "rai:dataManipulationProtocol": (
            "None: recordings are not normalised, aligned by fractions of a frame, clipped or "
            "repaired. Gain in dB is cv * gain_db_per_fs + gain_db_at_zero, negative = attenuation."
        ),
        "rai:dataImputationProtocol": "None: what was not measured is null.",
        "rai:dataAnnotationProtocol": [
            "The labels of a take are the positions that its knobs were set to (knobs_confirmed "
            "says how far that is proven), and what a probe of the unit's sound said of them "
            "(fingerprint_verdict): " + figures.tally(facts.takes, "fingerprint_verdict") + "."
        ],
        "rai:machineAnnotationTools": [f"capture {release['capture_version']}"],
        "rai:dataLimitations": [
            "One unit was measured, on one rig: another of its kind differs.",
            "Knob positions are labels, not measured thresholds or time constants.",
            *figures.faults(facts),
        ],
        "rai:dataUseCases": [
            "Training and testing models of dynamic range compressors: waveform, gain trajectory."
        ],
        "rai:personalSensitiveInformation": [
            f"Whether the songs hold any is {NOT_STATED}. Nothing of people was recorded."
        ],
        "rai:dataReleaseMaintenancePlan": VERSIONS,
    }


def missing(release: dict[str, Any]) -> str:
    """What the plan still lacks, in a sentence."""
    lacking = release["missing"]
    if not lacking["takes"]:
        return "No take of the plan is missing."
    reasons = "; ".join(f"{why}: {count}" for why, count in lacking["by_reason"].items())
    return f"{lacking['takes']} takes of the plan are missing: {reasons}."
