"""What each column means, in the words of docs/dataset.md and docs/measurements.md.

A test holds them against each other: a change here is a change there. Columns that mean the same
share a line, their names separated by spaces.
"""

from __future__ import annotations

TABLES: dict[str, dict[str, str]] = {
    "takes": {
        "take_id": "20 hex digits from song, recipe, setting and repeat: the same on every machine",
        "song_id": "the song, in `songs`",
        "setting_id": "the setting, spelt out: `attack0p1_ratio4_releaseauto_threshold-28`",
        "repeat": (
            "1 for a planned take; 2, 3, ... for the takes of the reference; 1000 more each time "
            "that it was recorded again after a release"
        ),
        "session_id": "the run that recorded it, in `sessions`",
        "calibration_id": "the calibration that it stands on, in `calibrations`",
        "split": "`train` or `test`, by song; null where the plan has no splits",
        "setting_split": (
            "`seen`, `unseen` or `reference`, by setting; null where the plan has no splits"
        ),
        "added_in": "the release that first had it; null until it is in one",
        "superseded_by": (
            "the take that is to be recorded, or was, in the place of a released one; else null. "
            "In releases always null"
        ),
        "knobs_confirmed": (
            "how far the knobs are proven: `told`, `acknowledged`, `read_back`, `measured`"
        ),
        "fingerprint_id": (
            "the visit to the setting, in `fingerprints`; null where settings are not probed"
        ),
        "fingerprint_verdict": (
            "what the sound says of the label: `confirmed` (the same positions as were enrolled), "
            "`doubtful`, `not verifiable`; `contradicted` is never recorded"
        ),
        (
            "measured_threshold_db measured_ratio measured_knee_db measured_attack_ms "
            "measured_release_fast_ms measured_release_slow_ms"
        ): (
            "what the probe measured at this visit; null is not measurable. Not the label's scale: "
            "see measurements.md"
        ),
        "input_file": "the song as played, before the send gain",
        "output_file": "the stereo return",
        "cv_file": "the control voltage",
        "markers_file": (
            "what came back of the markers around the take, all inputs; null for takes from before "
            "there were markers"
        ),
        "sample_rate_hz": "of all these files",
        "num_frames": "of input, output and CV",
        "latency_frames": "the whole-frame delay that was cut",
        "delay_left_frames": (
            "what remains after the cut: positive, the left return is later than the input"
        ),
        "delay_right_frames": (
            "what remains after the cut: positive, the right return is later than the input"
        ),
        "delay_cv_frames": (
            "what remains after the cut: positive, the CV is later than the input; null where the "
            "law was not measured"
        ),
        "cv_volts_per_fs": "volts at CV full scale, from the rig profile",
        "gain_db_per_fs": "dB of gain per CV full scale: the slope of the law",
        "gain_db_at_zero": "dB of gain at CV zero: the offset of the law",
        "gain_law_origin": "`expected`: from the rig profile, not measured; `measured`",
        "cv_corner_hz cv_offset_fs cv_start_fs": (
            "of a CV input that is AC-coupled: the law holds for the repaired CV "
            "(measurements.md); null where it is DC-coupled"
        ),
        "send_gain_db": "applied to the input as it was played",
        "return_gain_db": "what the plan says the return path does; never applied",
        "send_gain_verdict return_gain_verdict": (
            "whether that is what was measured with the take's law: `verified` (within 0.1 dB), "
            "`differs`, `not verifiable`; figures and reasons are in `laws`. Null where no law was "
            "measured"
        ),
        "static_left_db static_right_db": (
            "what was measured instead of `return_gain_db`: gain of unit and return at rest, "
            "make-up included; null where no law was measured"
        ),
        "temperature_c": "the rack's when the law was measured, where somebody said it",
        "input_sha256": "of the input's FLAC file",
        "output_sha256": "of the output's FLAC file",
        "cv_sha256": "of the CV's FLAC file",
        "markers_sha256": (
            "of the markers' FLAC file; null for takes from before there were markers"
        ),
        "captured_at": "when it was committed",
        "attempts": (
            "1 if the first recording passed its checks; a device that was lost does not count"
        ),
        "checks_version": (
            "of the take checks that judged it; null for takes from before it was kept"
        ),
        "peak_left_dbfs": "largest sample of the left return; null for digital silence",
        "peak_right_dbfs": "largest sample of the right return; null for digital silence",
        "rms_left_dbfs": "RMS of the left return; a full-scale sine has -3.01",
        "rms_right_dbfs": "RMS of the right return; a full-scale sine has -3.01",
        "cv_min_v": "lowest CV, in volts",
        "cv_max_v": "highest CV",
        "cv_mean_v": "mean CV",
    },
    "songs": {
        "song_id": "its name and 8 digits of its source's hash",
        "name": "the source file's name, without its ending",
        "split": "`train` or `test`; null where the plan has no splits",
        "source": "where it was found, as seen from the plan; `demo:NAME` for a built-in song",
        "source_sha256": "of the source file",
        "source_bytes": "of the source file",
        "source_format": "container and encoding",
        "source_rate_hz": "sample rate of the source file",
        "source_channels": "a mono source is played on both channels",
        "source_frames": "of the source file, at its own rate",
        "input_file": "the song as made",
        "input_sha256": "of the song's FLAC file",
        "input_bytes": "of the song's FLAC file",
        "sample_rate_hz": "resampled to the plan's rate (soxr, VHQ)",
        "num_frames": "of the finished file",
        "gain_db": "applied to reach the plan's target",
        "peak_dbfs": "of the finished file",
        "rms_dbfs": "of the finished file, both channels together",
        "loudness_lufs": "of the finished file; null if it is too quiet for one",
        "made_with": "the versions of what made it",
    },
    "settings": {
        "setting_id": "the setting, spelt out",
        "setting_split": "`seen`, `unseen` or `reference`",
        "takes": "captured so far",
    },
    "calibrations": {
        "calibration_id": "from its audio and figures",
        "measured_at": "when it was measured",
        "sample_rate_hz": "of play and record",
        "latency_frames": "whole frames, by the left return",
        "delay_left_frames delay_right_frames delay_loopback_frames": (
            "the whole delay, from play to record; null where there is no loopback"
        ),
        (
            "delay_uncertainty_left_frames delay_uncertainty_right_frames "
            "delay_uncertainty_loopback_frames"
        ): "one standard deviation",
        "inverted_left inverted_right inverted_loopback": "whether the input's polarity is turned",
        "peak_to_rms_left peak_to_rms_right peak_to_rms_loopback": (
            "how far the correlation's peak stands out"
        ),
        "gain_left_db gain_right_db gain_loopback_db": (
            "how much louder the input is than what was sent, 0.5 to 2 kHz, the unit not at work"
        ),
        "gain_uncertainty_left_db gain_uncertainty_right_db gain_uncertainty_loopback_db": (
            "one standard deviation"
        ),
        "delay_low_hz delay_high_hz": "the band in which the delay holds",
        "gain_db_per_fs": "dB of gain per CV full scale: the slope of the law",
        "gain_db_at_zero": "dB of gain at CV zero: the offset of the law",
        "gain_law_origin": "`expected`: from the rig profile, not measured; `measured`",
        "algorithm_version": "of the delay's estimator",
        "law_id": "in `laws`; null where the law is the expected one",
    },
    "laws": {
        "law_id": "from its audio and figures",
        "measured_at": "when it was measured",
        "sample_rate_hz": "of play and record",
        "setting_id": "where the knobs stood",
        "gain_db_per_fs gain_db_at_zero": "the law: 0 dB at rest",
        "volts_per_fs": "from the rig profile",
        "slope_uncertainty_db_per_fs at_zero_uncertainty_db covariance_db2_per_fs": (
            "of slope and offset, and between them"
        ),
        "accuracy_db": "the error that is left, rms, from rest to `deepest_gain_db`",
        "residual_db r2 steps": "of the straight line, over the steps that were used",
        "left_out": "steps that were not, each with its reason",
        "deepest_gain_db deepest_cv_fs": "how far down it was measured, and the CV there",
        "rest_v rest_uncertainty_v rest_noise_v": "the CV at rest; its RMS about that",
        "static_left_db static_right_db static_uncertainty_db": (
            "gain at rest, make-up and returns included"
        ),
        "slope_left_db_per_fs slope_right_db_per_fs": "of each channel by itself",
        "tracking_db tracking_uncertainty_db": (
            "how much more the left channel's gain falls than the right one's, down to the deepest"
        ),
        "slope_ratio": "measured slope over the expected one",
        "cv_delay_frames cv_delay_uncertainty_frames": (
            "how much later the CV is than the left return"
        ),
        "cv_delay_reduction_db cv_delay_left_db": (
            "how far the gain moved while that was measured; what it left unexplained, against the "
            "audio"
        ),
        "corner_hz offset_fs": "of an AC-coupled CV input, else null",
        "corner_uncertainty_hz": (
            "of the corner; of a DC-coupled input, how low a corner would have been seen"
        ),
        "loud_level_dbfs loud_send_gain_db": (
            "the loud probe (measurements.md): its peak as it was sent, the plan's send gain in "
            "that"
        ),
        "loud_deepest_gain_db": "how hard the unit worked, by the CV",
        (
            "loud_delay_left_frames loud_delay_uncertainty_left_frames loud_inverted_left "
            "loud_peak_to_rms_left loud_gain_left_db loud_gain_uncertainty_left_db"
        ): "what it showed of the left return; gains count from before the send gain",
        (
            "loud_delay_right_frames loud_delay_uncertainty_right_frames loud_inverted_right "
            "loud_peak_to_rms_right loud_gain_right_db loud_gain_uncertainty_right_db"
        ): "of the right one",
        (
            "loud_delay_loopback_frames loud_delay_uncertainty_loopback_frames "
            "loud_inverted_loopback loud_peak_to_rms_loopback loud_gain_loopback_db "
            "loud_gain_uncertainty_loopback_db"
        ): "of the loopback, where there is one",
        (
            "loud_shift_left_frames loud_shift_right_frames loud_shift_loopback_frames "
            "loud_calibration_id"
        ): "how much later that is than under the quiet probe of this calibration",
        "send_planned_db send_measured_db send_uncertainty_db send_verdict send_reason": (
            "the plan's send gain, and what the loopback shows of it"
        ),
        (
            "return_left_planned_db return_left_measured_db return_left_uncertainty_db "
            "return_left_verdict return_left_reason"
        ): "the plan's return gain, and the left channel's static gain",
        (
            "return_right_planned_db return_right_measured_db return_right_uncertainty_db "
            "return_right_verdict return_right_reason"
        ): "the plan's return gain, and the right channel's static gain",
        "temperature_c": "the rack's, where somebody said it",
        "previous_id drift_db level_drift_db": (
            "the law before it; by how much at most this one reads a gain otherwise; by how much "
            "at most returns and loopback have moved"
        ),
        "algorithm_version": "of the law's estimator",
    },
    "law_steps": {
        "law_id": "in `laws`",
        "step": "counts from the first that was played",
        "level_dbfs": "the tone's peak as it was sent",
        "gain_left_db gain_right_db": "by least squares against the tone",
        "cv_fs": "the CV as the tone sees it",
        "residual_db": "mean gain less what the line says",
        "left_out": "why the step was left out of the line; null where it counts",
    },
    "enrolments": {
        "enrolment_id": "from its audio and figures",
        "measured_at": "when it was measured",
        "law_id": "the law that it was measured by, in `laws`",
        "probes settings": "how many settings were probed, and which",
        "misfit_db": "what the model leaves of the probes, rms",
        "algorithm_version": "of the model's fit",
    },
    "fingerprints": {
        "fingerprint_id": "from its audio and figures",
        "measured_at": "when it was measured",
        "setting_id": "the label",
        "enrolment_id": "of the unit; null: not enrolled",
        "calibration_id": "the calibration that it stands on, in `calibrations`",
        "verdict reason": "and why",
        "accepted": (
            "whether takes were recorded after it; else the setting was set again, or the run ended"
        ),
        "most_likely": "the setting that the sound fits best",
        "log10_odds": (
            "of that against the label, as a power of ten; where it is the label, of the next one"
        ),
        "left": (
            "what the most likely setting leaves of the features, over what noise may: about 1 or "
            "less"
        ),
        "moved": "what seems to have moved since the enrolment without a knob, and by how much",
        "wrong": "what each knob that looks wrong looks like",
        "alike": "settings that the probe cannot tell from this one, and why",
        "threshold_db slope ratio knee_db attack_ms release_fast_ms release_slow_ms slow_share": (
            "the measured response, each with its `_uncertainty`; null is not measurable"
        ),
        "most_reduction_db audio_error_db": "the deepest reduction; how far audio and CV disagree",
        "features_db noise_db": (
            "the means of the reduction that are compared, and the noise of each: JSON lists"
        ),
        "rest_noise_db": "noise of the CV at rest",
        "sample_rate_hz": "of play and record",
        "file sha256 bytes": "what came back of the probe, all inputs",
        "algorithm_version": "of the probe and of what is read from it",
    },
    "anchors": {
        "direction channel": "`output` or `input`; `left`, `right`, `loopback` or `cv`",
        "dbu": "of a full-scale sine; null for the CV",
        "volts_per_fs": "of the CV",
        "volts level_dbfs": "what the meter showed, at which level; null where nobody measured",
        "measured_by": "who, with what; or the rig profile's name",
        "measured_at": "or when the profile's figure was taken",
        "method": "`voltmeter` or `rig profile`",
        "holds": "whether it counts for its channel",
    },
    "references": {
        "take_id first_take_id": "this take, and the one that it is compared with",
        "captured_at": "UTC",
        "gain_left_db gain_right_db": "level of each return, RMS, against the first; null: silent",
        "cv_db": "mean gain that the CV says, each by its own law",
        "response_db": "difference of the fingerprints' features, RMS; null without them",
        "accepted_by accepted_at": "who said that the rack may go on so, and when (UTC); else null",
    },
    "visits": {
        "setting_id": "where the knobs were set to",
        "set_at": "UTC",
        "confirmed": "how far it was confirmed: `told`, `acknowledged`, `read_back`",
        "waited_s": "how long a person was waited for, pauses included",
    },
    "sessions": {
        "session_id": "when it began, and six random digits",
        "started_at ended_at": "`ended_at` is null while it runs, and after a crash",
        "outcome": (
            "`finished`, `limit`, `skipped` (a person put settings off), `interrupted`, `fault`; "
            "null while it runs, and after a crash"
        ),
        "fault": "the message that ended it",
        "plan_sha256 rig_sha256": "of the documents that it was run with",
        "capture_version": "of the program that ran it",
    },
    "releases": {
        "version": "three numbers (docs/standards.md says what they promise)",
        "released_at": "UTC",
        "takes": "in it",
        "sha256": "of its `SHA256SUMS`, which has those of all its files",
        "capture_version": "of the program that made it",
    },
}
CHECKS: dict[str, str] = {
    "stream_flags": "how many kinds of status flag the stream raised",
    "clock_frames": "by how much the stream's clock jumped ahead of the frame counter",
    "marker_head_frames marker_tail_frames": (
        "how much later than calibrated the marker came back, left or right, whichever is further "
        "off"
    ),
    "marker_inverted": (
        "how many of the markers came back the other way round than the latency's probe"
    ),
    "marker_drift_ppm": "drift between the two markers, left or right, whichever drifts more",
    "pilot_db": "what the left send does not explain of the loopback, in the worst block",
    "frames": "recorded less planned frames",
    "full_scale_run_frames": "longest run at full scale, any input",
    "near_full_scale_dbfs": "highest peak of any input; never fails",
    "stuck_run_frames": "longest run of identical samples, any input",
    "repeated_run_frames": (
        "longest run of frames that were there before, up to 1.5 s ago, bit by bit on all inputs, "
        "though they were not sent before"
    ),
    "level_left_db level_right_db": "RMS of the return over that of the song as sent",
    "polarity": "correlation of each return with its own channel; the smaller one",
    "swap": "how much more of the returns' energy is like the other channel than like their own",
    "coherence": (
        "share of a return that a fixed filter makes of its own channel, 300 Hz to 8 kHz; the "
        "smaller one"
    ),
    "lag_head_frames lag_tail_frames": (
        "delay left over in a window near each end, less the known fraction"
    ),
    "lag_step_frames": (
        "the largest jump of the lag within the take: frames lost (negative) or doubled"
    ),
    "drift_ppm": "drift of the returns against the song",
    "dc_dbfs": "mean of a return, less the song's share of it",
    "hum_dbfs": "RMS of what stands at 50 or 60 Hz and nine harmonics and is not the song's",
    "noise_dbfs": "RMS of the louder return while the song is silent; the median",
    "audio_cv_db": "energy that song, CV and path do not explain of the output, less the noise",
    "burst_db": "that residual against what is usual in this take: the highest median of 70 ms",
    "click_db": "the same of 6 ms against their surroundings",
    "crosstalk_db": "share of the other channel in the residual",
    "cv_delay_frames": (
        "by how much later the CV comes than was calibrated, both against the song: the median of "
        "the windows that are sure of it"
    ),
    "cv_lag_frames": "the CV's delay in windows of 1.5 s: the furthest from the take's median",
    "cv_scatter_db": (
        "how far the gain of the audio is from what the CV says, in grains of 2048 frames, static "
        "gain taken out: the deviation that one in ten exceeds, over 1.645"
    ),
    "cv_flat_share": "how far the CV's gain moves, as a share of how far the audio's does",
    "cv_unplugged_db": "the furthest that the CV is from 0 V, in dB of its law; fails below",
    "cv_inverted": "correlation of the CV's gain with the audio's; fails below",
    "cv_above_rest_db": (
        "how far the gain that the CV says is above rest: the third highest of the grains"
    ),
    "cv_slope_percent": "by how much the audio's gain moves more than the law says",
    "cv_coupling_hz": "the high-pass that the CV looks to be behind",
    "cv_clip_db": "what the audio's gain does beyond the CV's extreme while the CV stands there",
    "knobs_log10": (
        "the enrolled unit's gain for this music against the CV's: odds of the likeliest one-step "
        "neighbour against the label, as a power of ten (decision 0015)"
    ),
    "knobs_left": (
        "what the label's prediction leaves of the gain in the worst of twelve stretches, over "
        "what is usual; never fails"
    ),
    "settle_db": "the CV just before the song against its rest",
}
