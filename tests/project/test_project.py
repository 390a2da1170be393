"""The package as it is installed: presets in the wheel, late imports, help, completion, layers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CAPTURE = Path(sys.executable).with_name("capture")
HEAVY = (
    "apprise",
    "numpy",
    "scipy",
    "soundfile",
    "sounddevice",
    "soxr",
    "pyarrow",
    "pydantic",
    "ruamel.yaml",
    "rich",
    "numba",
    "serial",
    "sqlite3",
)


def python(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_holds_the_presets_and_runs(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for name in ("capture", "rigs", "sessions"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source / name)
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(tmp_path)]
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", *options, str(source)],
        check=True,
        capture_output=True,
        timeout=300,
    )
    (wheel,) = tmp_path.glob("capture-*.whl")
    with zipfile.ZipFile(wheel) as content:
        names = content.namelist()
        content.extractall(tmp_path / "site")
    for preset in ("sessions/quickstart", "sessions/solid-state-bus-comp", "rigs/simulated"):
        assert f"capture/{preset}.yaml" in names
    assert not [name for name in names if name.startswith(("rigs", "sessions", "tests"))]
    # -S hides the editable install; the dependencies come from the same site-packages.
    site = next(p for p in sys.path if p.endswith("site-packages"))
    code = (
        f"import sys; sys.path[:0] = [{str(tmp_path / 'site')!r}, {site!r}]; "
        "sys.argv = ['capture', 'plan', 'quickstart']; "
        "from capture.cli import main; import capture; "
        f"assert capture.__file__.startswith({str(tmp_path)!r}); main()"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "takes      12" in done.stdout


def test_help_loads_nothing_heavy() -> None:
    loaded = python("import capture.cli, sys; print(' '.join(sys.modules))").split()
    assert not [name for name in HEAVY if name in loaded]


def test_a_simulated_run_needs_no_portaudio(tmp_path: Path) -> None:
    """sounddevice cannot be imported here, nor anything that only a real rig needs."""
    code = (
        "import sys, os\n"
        "sys.modules['sounddevice'] = None\n"
        "sys.modules['serial'] = None\n"
        f"os.chdir({str(tmp_path)!r})\n"
        "sys.argv = ['capture', 'run', 'quickstart', '--limit', '1']\n"
        "from capture.cli import main\n"
        "main()\n"
    )
    assert "limit reached: 1 of 12" in python(code)


@pytest.mark.parametrize("command", ["", "run", "plan", "init", "status", "verify", "devices"])
def test_every_command_has_help(command: str) -> None:
    for flag in ("-h", "--help"):
        done = subprocess.run(
            [CAPTURE, *([command] if command else []), flag],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0
        assert done.stdout.startswith("Usage: capture")


def test_wrong_arguments_are_bad_input() -> None:
    for arguments in (["fly"], ["run"], ["run", "quickstart", "--limit", "-1"], ["plan", "a", "b"]):
        done = subprocess.run(
            [CAPTURE, *arguments], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 2
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shell_completion(shell: str) -> None:
    """What the shell would ask: the words that may follow ``capture st``."""
    script = subprocess.run(
        [CAPTURE, "--show-completion", shell],
        capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
    )  # fmt: skip
    assert script.returncode == 0
    assert "_CAPTURE_COMPLETE" in script.stdout
    asked = {
        "bash": {"COMP_WORDS": "capture st", "COMP_CWORD": "1"},
        "zsh": {"_TYPER_COMPLETE_ARGS": "capture st"},
        "fish": {"_TYPER_COMPLETE_ARGS": "capture st", "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
    }[shell]
    answer = subprocess.run(
        [CAPTURE], capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "_CAPTURE_COMPLETE": f"complete_{shell}", **asked},
    )  # fmt: skip
    assert "status" in answer.stdout
    assert "verify" not in answer.stdout


def test_devices_says_what_there_is() -> None:
    import json

    done = subprocess.run(
        [CAPTURE, "devices", "--json"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0
    found = json.loads(done.stdout)
    assert set(found) == {"audio", "serial", "problems"}
    for device in found["audio"]:
        assert {"name", "host_api", "inputs", "outputs", "rates_hz"} <= set(device)
    for port in found["serial"]:
        assert {"port", "by_id", "vid_pid", "serial_number"} <= set(port)


def test_devices_without_portaudio_says_so_and_lists_the_rest() -> None:
    code = (
        "import sys\n"
        "class Missing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'sounddevice':\n"
        "            raise OSError('PortAudio library not found')\n"
        "sys.meta_path.insert(0, Missing())\n"
        "sys.argv = ['capture', 'devices']\n"
        "from capture.cli import main\n"
        "main()\n"
    )
    said = python(code)
    assert "libportaudio2" in said
    assert "serial ports" in said
