"""Real music, two hundred takes, through PortAudio: exactly what the rack sent, every frame.

The server freewheels, so the real path runs as fast as the machine can; nothing of it is left out.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile

from tests.jack.conftest import Lab, untrue
from tests.session.conftest import rows

MUSIC = Path("/usr/share/games/singularity/music")
CLIPS = {  # at a second that has much to hear
    "Aberrations.ogg": 60,
    "Advanced Simulacra.ogg": 60,
    "Awakening.ogg": 60,
    "By-Product.ogg": 60,
    "Coherence.ogg": 45,
    "Enemy Unknown.ogg": 60,
    "Media Threat.ogg": 30,
    "Orbital Elevator.ogg": 60,
    "Through Space.ogg": 40,
    "win/Apex Aleph.ogg": 10,
}
CLIP_S = 6


@pytest.fixture(scope="module")
def period() -> int:
    return 4096


def clips(lab: Lab) -> None:
    """Six seconds of each piece."""
    if not MUSIC.is_dir() and not os.environ.get("CI"):
        pytest.skip("needs the Debian package singularity-music (make test installs it for root)")
    (lab.folder / "songs").mkdir()
    for number, (name, second) in enumerate(CLIPS.items()):
        with soundfile.SoundFile(MUSIC / name) as file:
            file.seek(second * file.samplerate)
            audio = file.read(CLIP_S * file.samplerate, always_2d=True)
            soundfile.write(lab.folder / f"songs/{number}.wav", audio, file.samplerate, "PCM_24")


def test_two_hundred_takes_are_what_the_rack_sent(start_lab: Callable[..., Lab]) -> None:
    lab = start_lab()
    clips(lab)
    lab.rig(freewheel=True, settle_s=0.3)
    lab.plan("-28, -24, -20, -16, -12", "0.1, 3", "0.1, auto", "4")
    running = lab.run()
    ended = running.end()
    assert ended["captured"] == 200
    assert ended["rejected"] == 0
    voids = running.said("TakeVoid")
    faster = ended["audio_s"] / ended["wall_s"]
    print(f"\n200 takes, {ended['audio_s']:.0f} s of audio: {faster:.0f} times real time")
    lab.rack.stop()
    assert voids == []
    assert untrue(running.out, lab.truths()) == []
    assert {row["check_pilot_db_verdict"] for row in rows(running.out)} == {"pass"}
    assert faster > 20
    lab.desk.ok("verify", "d")


def test_a_server_that_freewheels_already_goes_on_to(start_lab: Callable[..., Lab]) -> None:
    """Whoever turned it on: a stream cannot be opened or closed in it, so it is interrupted."""
    lab = start_lab()
    lab.songs(2, 5.0)
    lab.rig(freewheel=False)
    lab.plan("-28, -24, -20, -16", "0.1, 3")
    lab.server.freewheel(True)
    running = lab.run()
    ended = running.end()
    lab.server.freewheel(False)
    assert ended["captured"] == 16
    assert ended["wall_s"] < ended["audio_s"]
    lab.rack.stop()
    assert untrue(running.out, lab.truths()) == []
