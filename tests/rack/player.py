"""A program: plays a file on the device ``rack`` and records it meanwhile, through PortAudio.

    python -m tests.rack.player PLAY.npy RECORDED.npy

Says on stdout, a line each: what PortAudio sees as JSON; ``started``, when the stream runs; then
waits for a line on stdin, plays, says ``played``; and closes the stream when it hears another line.
So the stream opens and closes in real time, whatever happens in between: JACK cannot do either
while it freewheels. A process of its own, because PortAudio sees only those devices that were there
as it was loaded.
"""

from __future__ import annotations

import json
import sys
import threading

import numpy as np
import sounddevice


def main(play_file: str, recorded_file: str) -> None:
    play = np.load(play_file)
    device = next(d for d in sounddevice.query_devices() if d["name"] == "rack")
    print(
        json.dumps({**device, "api": sounddevice.query_hostapis(device["hostapi"])["name"]}),
        flush=True,
    )
    recorded = np.zeros((len(play), device["max_input_channels"]), np.float32)
    at, go, done = 0, threading.Event(), threading.Event()

    def callback(received, sent, frames, time, status) -> None:
        nonlocal at
        count = min(frames, len(play) - at) if go.is_set() else 0
        sent[:count], sent[count:] = play[at : at + count], 0
        recorded[at : at + count] = received[:count]
        at += count
        if at == len(play):
            done.set()

    channels = recorded.shape[1], 2
    with sounddevice.Stream(
        44100, 0, device["index"], channels, "float32", callback=callback, latency="high"
    ):
        print("started", flush=True)
        sys.stdin.readline()
        go.set()
        done.wait()
        print("played", flush=True)
        sys.stdin.readline()
    np.save(recorded_file, recorded)


main(*sys.argv[1:])
