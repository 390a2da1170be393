"""What is told before the first sound: which device, which channels, which rate, and why not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.jack.conftest import Lab
from tests.jackserver import until

Start = Callable[..., Lab]


@pytest.fixture(scope="module")
def lab(server: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One rack for all tests here; nothing is played on most of them."""
    from tests.rack.conftest import RackProcess
    from tests.session.conftest import Desk

    folder = tmp_path_factory.mktemp("devices")
    rack = RackProcess(server, folder)
    found = Lab(server, rack, Desk(folder, server.variables))
    found.songs(1, 2.0)
    found.plan()
    yield found
    rack.stop()


def changed(lab: Lab, **audio: Any) -> None:
    """The profile with other facts in its section audio."""
    lab.rig(freewheel=False)
    path = lab.folder / "rig.yaml"
    yaml = YAML()
    data = yaml.load(path.read_text())
    for key, value in audio.items():
        if isinstance(value, dict):
            data["audio"][key].update(value)
        else:
            data["audio"][key] = value
    with path.open("w") as file:
        yaml.dump(data, file)


def test_the_rack_is_listed_as_a_profile_names_it(lab: Lab) -> None:
    listed = lab.desk.json("devices")["audio"]
    (rack,) = [device for device in listed if device["name"] == "rack"]
    assert (rack["host_api"], rack["inputs"], rack["outputs"]) == (
        "JACK Audio Connection Kit",
        4,
        2,
    )
    assert rack["rates_hz"] == [44100]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"device": {"name": "rock"}}, ("'rock'", "is not there", "'rack'", "4 inputs")),
        ({"device": {"host_api": "ASIO"}}, ("ASIO", "is not there", "JACK Audio Connection Kit")),
        ({"device": {"inputs": 6}}, ("6 inputs", "is not there", "4 inputs, 2 outputs")),
        ({"inputs": {"cv": 9}}, ("has 4 inputs", "uses input 9")),
        ({"outputs": {"left": 1, "right": 3}}, ("has 2 outputs", "uses output 3")),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)
@pytest.mark.parametrize("command", ["run", "check"])
def test_a_device_that_is_not_as_described_is_a_hardware_fault(
    lab: Lab, command: str, change: dict[str, Any], words: tuple[str, ...]
) -> None:
    changed(lab, **change)
    said = lab.desk.fails(4, command, "plan.yaml", "--out", "d")
    for word in words:
        assert word in said


def test_a_rate_that_the_device_refuses_is_named_with_those_that_it_takes(lab: Lab) -> None:
    changed(lab)
    plan = (lab.folder / "plan.yaml").read_text().replace("44100", "48000")
    (lab.folder / "fast.yaml").write_text(plan)
    for command in ("check", "run"):
        said = lab.desk.fails(4, command, "fast.yaml", "--out", "fast")
        assert "refuses 48000 Hz" in said
        assert "it takes 44100" in said


def test_a_rack_that_is_well_passes_the_check(lab: Lab) -> None:
    changed(lab)
    report = lab.desk.json("check", "plan.yaml")
    failed = [finding for finding in report["findings"] if finding["status"] == "fail"]
    assert failed == []


def test_knobs_that_nobody_turns_are_found_by_the_check(lab: Lab) -> None:
    changed(lab)
    path = lab.folder / "rig.yaml"
    path.write_text(path.read_text().replace(str(lab.rack.port), "1999"))
    said = lab.desk.fails(4, "check", "plan.yaml")
    assert "127.0.0.1:1999" in said


def test_without_a_server_the_device_is_not_there(lab: Lab) -> None:
    changed(lab)
    lab.desk.environment["JACK_DEFAULT_SERVER"] = "nobody"
    try:
        said = lab.desk.fails(4, "run", "plan.yaml", "--out", "d")
    finally:
        lab.desk.environment["JACK_DEFAULT_SERVER"] = lab.server.name
    assert "is not there" in said
    until(lambda: lab.rack.state()["joined"], "the rack is none the worse for it")
