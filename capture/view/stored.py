"""What is stored, and what is connected: for people, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from capture.model import format_value
from capture.records import TakeRecord
from capture.run.ledger import Ledger
from capture.view.lines import plain
from capture.view.text import amount, hours, size

if TYPE_CHECKING:  # ``capture status`` is asked often, and needs none of what these load
    from capture.dataset.verify import Report
    from capture.hardware.portaudio.devices import AudioDevice
    from capture.hardware.serial_ports import SerialPort

SHOWN = 10
"""Of rejected takes, and of settings that cannot be set, in the text."""


def status(dataset: Path, ledger: Ledger) -> dict[str, Any]:
    """The figures of ``capture status``. ``remaining_s`` is wall-clock time, as planned."""
    totals = json.loads(ledger.fact("totals") or '{"takes": 0, "audio_s": 0, "wall_s": 0}')
    counted = ledger.count()
    captured, captured_frames = counted.get("captured", (0, 0))
    rejected, rejected_frames = counted.get("rejected", (0, 0))
    sessions, calibrations, laws = ledger.sessions(), ledger.calibrations(), ledger.laws()
    songs = ledger.songs()
    done_s = (captured_frames + rejected_frames) / songs[0].sample_rate_hz if songs else 0.0
    share = max(0.0, 1 - done_s / totals["audio_s"]) if totals["audio_s"] else 0.0
    remaining = totals["takes"] - captured - rejected
    return {
        "dataset": str(dataset),
        "planned": totals["takes"],
        "captured": captured,
        "rejected": rejected,
        "remaining": remaining,
        "remaining_s": totals["wall_s"] * share if remaining else 0.0,
        "captured_audio_s": captured_frames / songs[0].sample_rate_hz if songs else 0.0,
        "rejected_takes": [_rejected(take) for take in ledger.rejected()],
        "impossible": ledger.impossible(),
        "songs": len(songs),
        "sessions": len(sessions),
        "last_calibration": plain(calibrations[-1]) if calibrations else None,
        "last_law": plain(laws[-1]) if laws else None,
        "last_session": plain(sessions[-1]) if sessions else None,
        "last_fault": next((s.fault for s in reversed(sessions) if s.fault), None),
    }


def _rejected(take: TakeRecord) -> dict[str, Any]:
    """A take that failed its checks every time: which ones, by how much, and where its audio is."""
    failed = [check for check in take.checks if check.verdict == "fail"]
    files = (take.output_file, take.cv_file, take.markers_file)
    return {
        "take_id": take.take_id,
        "song_id": take.song_id,
        "setting": plain(take.setting),
        "captured_at": take.captured_at,
        "attempts": take.attempts,
        "failed": [{"check": c.name, "figure": c.figure, "limit": c.limit} for c in failed],
        "files": [name for name in files if name],
    }


def status_text(found: dict[str, Any]) -> str:
    rejected = f", {found['rejected']:,} rejected" if found["rejected"] else ""
    lines = [
        f"{found['dataset']}: {found['captured']:,} of {amount(found['planned'], 'take')} "
        f"captured{rejected} ({hours(found['captured_audio_s'])} of audio)",
        f"left: {amount(found['remaining'], 'take')}, {hours(found['remaining_s'])}",
    ]
    lines += _shown("rejected", list(map(_rejected_text, found["rejected_takes"])))
    if impossible := found["impossible"]:
        one = len(impossible) == 1
        are = "setting is" if one else "settings are"
        lines.append(f"{len(impossible):,} {are} called impossible: no take is recorded there")
    lines += _shown("impossible", [f"{name}: {why}" for name, why in impossible.items()])
    if found["rejected"] or impossible:
        lines.append("capture run ... --retry-rejected records these again")
    calibration, session = found["last_calibration"], found["last_session"]
    if calibration:
        lines.append(
            f"last calibration: {calibration['measured_at']}, latency "
            f"{calibration['latency_frames']} frames"
        )
    if law := found["last_law"]:
        moved = "" if law["drift_db"] is None else f"; moved by {law['drift_db']:.4f} dB"
        lines.append(
            f"last gain law: {law['measured_at']}, accurate to {law['accuracy_db']:.4f} dB{moved}"
        )
    if session:
        ended = session["outcome"] or "running, or ended by a crash"
        lines.append(f"last session: {session['started_at']}, {ended}")
    if found["last_fault"]:
        lines.append(f"last fault: {found['last_fault']}")
    return "\n".join(lines)


def _shown(what: str, entries: list[str]) -> list[str]:
    """The first of them, a line each, and how many more there are."""
    lines = [f"{what}: {entry}" for entry in entries[:SHOWN]]
    if len(entries) > SHOWN:
        lines.append(f"{what}: and {len(entries) - SHOWN:,} more (--json has all)")
    return lines


def _rejected_text(take: dict[str, Any]) -> str:
    values = take["setting"].items()
    setting = ", ".join(
        f"{name} {v if isinstance(v, str) else format_value(v)}" for name, v in values
    )
    failed = "; ".join(map(_failed_text, take["failed"]))
    where = Path(take["files"][0]).parent.as_posix()
    return f"{take['song_id']} at {setting}: {failed} ({where})"


def _failed_text(check: dict[str, Any]) -> str:
    if check["figure"] is None:
        return f"{check['check']}: nothing to measure"
    limit = "" if check["limit"] is None else f" (limit {check['limit']:g})"
    return f"{check['check']}: {check['figure']:.4g}{limit}"


def progress(stream: TextIO) -> Callable[[str], None]:
    """Shows the file that is being read, on a terminal only."""
    if not stream.isatty():
        return lambda name: None

    def show(name: str) -> None:
        stream.write(f"\r\x1b[K{name}"[:120])
        stream.flush()

    return show


def report_json(report: Report) -> dict[str, Any]:
    return {"ok": not report.damage, **plain(report)}


def report_text(dataset: Path, report: Report) -> str:
    lines = [f"{damage.kind}: {damage.file}: {damage.message}" for damage in report.damage]
    lines += [f"note: {note}" for note in report.notes]
    rejected = f", {report.rejected:,} rejected" if report.rejected else ""
    verdict = f"{len(report.damage)} damaged" if report.damage else "all as committed"
    lines.append(
        f"{dataset}: {amount(report.takes, 'take')}{rejected}, {amount(report.files, 'file')}, "
        f"{size(report.bytes)}: {verdict}"
    )
    return "\n".join(lines)


def devices_json(
    audio: Sequence[AudioDevice], serial: Sequence[SerialPort], problems: Sequence[str]
) -> dict[str, Any]:
    return {"audio": plain(audio), "serial": plain(serial), "problems": list(problems)}


def devices_text(
    audio: Sequence[AudioDevice], serial: Sequence[SerialPort], problems: Sequence[str]
) -> str:
    lines = ["audio devices:" if audio else "audio devices: none"]
    for device in audio:
        rates = ", ".join(f"{rate:,}" for rate in device.rates_hz) or "none of the usual"
        lines.append(
            f"  {device.name} | {device.host_api} | {device.inputs} in, {device.outputs} out | "
            f"{rates} Hz"
        )
    lines.append("serial ports:" if serial else "serial ports: none")
    for port in serial:
        facts = (port.by_id, port.vid_pid, port.serial_number)
        shown = " | ".join(fact for fact in facts if fact)
        lines.append(f"  {port.port} | {port.description}" + (f" | {shown}" if shown else ""))
    return "\n".join([*lines, *problems])
