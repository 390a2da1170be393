"""The port Knobs, for knobs that motors turn.

What is believed of the knobs is in two fields: the controller, if one is begun, and the places at
which it was seen to stand. A fault clears both, whatever it was; the next ``set`` begins anew, with
homing. A rig without switches cannot do that, so there a person has to.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager

from capture.errors import HardwareFault
from capture.hardware.gcode_facts import GcodeFacts
from capture.hardware.knobs.gcode.controller import Controller, Waits
from capture.hardware.knobs.gcode.dialects import DIALECTS
from capture.hardware.knobs.gcode.port import Port, SerialPort
from capture.hardware.ports import Proof
from capture.model import Control, Setting, format_value


def open_port(facts: GcodeFacts) -> Port:
    return SerialPort(facts.port, facts.baud)


class GcodeKnobs:
    """Turns ``controls``, which are those of ``facts.axes``. Opens nothing before the first set."""

    def __init__(
        self,
        facts: GcodeFacts,
        controls: Sequence[Control],
        waits: Waits = Waits(),  # noqa: B008 - a frozen value
        opener: Callable[[GcodeFacts], Port] = open_port,
    ) -> None:
        self._facts, self._waits, self._opener = facts, waits, opener
        self._controls = {control.name: control for control in controls}
        self._names = {axis.axis: name for name, axis in facts.axes.items()}
        self._controller: Controller | None = None
        self._at: dict[str, float] = {}
        self._begun = self._closed = False
        self._said: tuple[str, ...] = ()

    @property
    def transcript(self) -> tuple[str, ...]:
        """The end of what was said to the last controller and by it: ``> sent``, ``< received``."""
        return self._controller.transcript if self._controller else self._said

    def set(self, setting: Setting) -> Proof:
        """Turns what does not stand at ``setting`` yet, and reads all of it back.

        Raises HardwareFault; where the knobs stand is then unknown, and the next ``set`` homes.
        """
        places = self._places(setting)
        with self._speaking():
            controller = self._ready()
            turned = {axis: at for axis, at in places.items() if self._at.get(axis) != at}
            if beyond := self._beyond(turned):
                controller.go(beyond, self._facts.feed_per_min)
                self._compare(controller, beyond, "was sent to")
            if turned:
                controller.go(turned, self._facts.feed_per_min)
            self._compare(controller, places, "was sent to")
            self._at.update(places)
        return Proof("read_back", setting)

    def verify(self, setting: Setting) -> Proof:
        """Asks whether all stands at ``setting`` still, and nothing was reset. Moves nothing.

        Raises HardwareFault as ``set`` does.
        """
        places = self._places(setting)
        with self._speaking():
            controller = self._controller
            if controller is None or any(self._at.get(a) != at for a, at in places.items()):
                raise HardwareFault(f"the knobs were not set to {setting}; set them first")
            self._compare(controller, places, "was moved, or lost steps; it should stand at")
        return Proof("read_back", setting)

    def forget(self) -> None:
        """The next ``set`` homes first, where there are switches to home by."""
        if self._facts.home:
            self._forget()

    def close(self) -> None:
        self._closed = True
        self._forget()

    def _ready(self) -> Controller:
        """The controller, from its greeting on if need be."""
        if self._closed:
            raise HardwareFault("the motors' controller is closed; open the rig again")
        if self._controller is None:
            if self._begun and not self._facts.home:
                raise HardwareFault(
                    "where the knobs stand is lost, and without switches (home: false) they "
                    "cannot find it again: turn each to its place 0 by hand, then start anew"
                )
            dialect = DIALECTS[self._facts.firmware]
            name = f"the motors' controller ({dialect.name}, {self._facts.port})"
            port = self._opener(self._facts)
            self._controller = Controller(port, dialect, self._waits, name)
            self._controller.begin(list(self._names) if self._facts.home else None)
            self._begun = True
        return self._controller

    def _places(self, setting: Setting) -> dict[str, float]:
        """By axis. Raises HardwareFault for what has none."""
        places: dict[str, float] = {}
        for name, value in setting.items():
            control, facts = self._controls.get(name), self._facts.axes.get(name)
            place = facts.place(control, value) if control and facts else None
            if facts is None or place is None:
                raise HardwareFault(f"no motor turns {name} to {format_value(value)}")
            places[facts.axis] = place
        return dict(sorted(places.items()))

    def _beyond(self, places: Mapping[str, float]) -> dict[str, float]:
        """Where the axes of ``places`` that have play go first."""
        overshoots = {facts.axis: facts.overshoot for facts in self._facts.axes.values()}
        return {axis: at + overshoots[axis] for axis, at in places.items() if overshoots[axis]}

    def _compare(self, controller: Controller, places: Mapping[str, float], asked: str) -> None:
        away = controller.away(places, self._facts.tolerance)
        if away:
            sentences = [
                f"{self._names[axis]} (axis {axis}) {asked} {places[axis]:g} and stands at {at:g}"
                for axis, at in away.items()
            ]
            raise controller.fault(f"says that {'; '.join(sentences)}")

    @contextmanager
    def _speaking(self) -> Generator[None]:
        """Whatever goes wrong in it, nothing is believed afterwards."""
        try:
            yield
        except BaseException:
            self._forget()
            raise

    def _forget(self) -> None:
        controller, self._controller = self._controller, None
        self._at = {}
        if controller is not None:
            self._said = controller.transcript
            controller.close()
