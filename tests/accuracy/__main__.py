"""Makes docs/accuracy.md: ``python -m tests.accuracy``, some ten minutes; ``--small`` prints only.

Every section asserts what it claims. CI runs each with a smaller count.
"""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "accuracy.md"
SECTIONS = ("latency", "levels", "drift", "cv_law", "cv_delay", "fingerprint", "defects")
HEAD = """\
# What accuracy was reached

Made by `make accuracy`; CI runs the same with smaller counts. Everything was measured on the
simulated rig, which shares no code with what is tested here. No hardware yet: a rack's own
measurement wins. [measurements.md](measurements.md) explains the methods.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="smaller counts; writes nothing")
    parser.add_argument("section", nargs="*", help=", ".join(SECTIONS))
    asked = parser.parse_args()
    made: list[str] = [HEAD]
    for name in asked.section or SECTIONS:
        text = importlib.import_module(f"tests.accuracy.{name}").section(asked.small).strip()
        print(text, flush=True)
        made.append(text + "\n")
    if not asked.small and not asked.section:
        PAGE.write_text("\n".join(made), "utf-8")


if __name__ == "__main__":
    main()
