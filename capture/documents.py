"""YAML documents that people write: read strictly, with every fault named at its line.

``read`` turns text into plain data and remembers the line of every key. ``Document.check``
validates the data against a pydantic model; ``Document.refuse`` puts faults that other code found
at their lines. Both report all faults at once, as one ``BadInput``.

YAML 1.2, one document, text keys only. A key that occurs twice is a fault. Dates stay text.
"""

from __future__ import annotations

import contextlib
import difflib
import io
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Annotated, Any, TypeVar, cast, get_args

from pydantic import BaseModel, ConfigDict, PlainSerializer, PlainValidator, ValidationError

from capture.errors import BadInput, Fault, KeyPath
from capture.model import Auto, Value, parse_value

MAX_NODES = 200_000
MAX_DEPTH = 40

Plain = dict[str, Any]
Model = TypeVar("Model", bound=BaseModel)


class Strict(BaseModel):
    """The base of all document models: frozen, no unknown key, no NaN or infinity, no coercion."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def _plain_value(value: Value) -> float | str:
    return value.value if isinstance(value, Auto) else value


PositionValue = Annotated[
    float | Auto,
    PlainValidator(parse_value),
    PlainSerializer(_plain_value, return_type=float | str),
]
"""A control's value in a document: a number or ``auto``, which stays a value of its own type."""


@dataclass(frozen=True)
class Document:
    """A YAML document as plain data. ``source`` is what the user calls it."""

    source: str
    text: str
    data: Plain
    lines: Mapping[KeyPath, int] = field(repr=False)

    def check(self, model: type[Model]) -> Model:
        """The data as ``model``. Raises BadInput with every fault."""
        try:
            return model.model_validate_json(json.dumps(self.data))
        except ValidationError as error:
            faults = [
                _fault(model, self._real(item["loc"]), item)
                for item in error.errors(include_url=False)
            ]
        raise self.refuse(faults)

    def refuse(self, faults: Iterable[Fault]) -> BadInput:
        """The exception that tells all ``faults``, each with the line of its place."""
        located = sorted(((self._line(fault.path), fault) for fault in faults), key=lambda x: x[0])
        return BadInput(
            *(
                f"{self.source}, line {line}: {_dotted(fault.path)}{fault.message}"
                for line, fault in located
            )
        )

    def _real(self, path: KeyPath) -> KeyPath:
        """``path`` without the steps that a validator added and the user never wrote."""
        real: KeyPath = ()
        for number, key in enumerate(path):
            if (*real, key) in self.lines or number == len(path) - 1:
                real = (*real, key)
        return real

    def _line(self, path: KeyPath) -> int:
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def read(text: str, source: str) -> Document:
    """Parses one YAML document whose top is a mapping. Raises BadInput."""
    from ruamel.yaml import YAML

    yaml: Any = YAML(typ="rt", pure=True)
    try:
        tree = yaml.load(io.StringIO(text))
    except RecursionError:
        raise BadInput(f"{source}: nested too deeply (at most {MAX_DEPTH} levels)") from None
    except Exception as error:  # the parser lets many kinds escape on malformed text
        raise _unreadable(source, error) from None
    reader = _Reader(source)
    data = reader.plain(tree, ())
    if not isinstance(data, dict):
        reader.faults.append(Fault((), "must be a mapping of keys to values"))
        data = {}
    document = Document(source, text, cast(Plain, data), reader.lines)
    if reader.faults:
        raise document.refuse(reader.faults)
    return document


def _unreadable(source: str, error: Any) -> BadInput:
    """``error``: a YAMLError, with or without a mark and a problem, or whatever else escaped."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    where = f", line {mark.line + 1}" if mark else ""
    problem = str(getattr(error, "problem", None) or error) or type(error).__name__
    return BadInput(f"{source}{where}: not valid YAML: {problem.strip().splitlines()[0]}")


class _Reader:
    """Turns the parser's tree into plain data, noting lines and faults on the way."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.lines: dict[KeyPath, int] = {(): 1}
        self.faults: list[Fault] = []
        self.nodes = 0

    def plain(self, node: Any, path: KeyPath) -> Any:
        self.nodes += 1
        if self.nodes > MAX_NODES or len(path) > MAX_DEPTH:
            raise BadInput(
                f"{self.source}: too large: at most {MAX_NODES} values and {MAX_DEPTH} levels "
                "(does an alias contain itself?)"
            )
        if isinstance(node, Mapping):
            return self._mapping(cast(Mapping[Any, Any], node), path)
        if isinstance(node, (list, tuple, set)):
            items = list(cast(Iterable[Any], node))
            for index in range(len(items)):
                self._note(node, "item", index, (*path, index))
            return [self.plain(item, (*path, index)) for index, item in enumerate(items)]
        return self._scalar(node, path)

    def _scalar(self, node: Any, path: KeyPath) -> Any:
        if node is None or isinstance(node, bool):
            return node
        if isinstance(node, int):
            # ruamel gives a boolean of its own, which is an int, where an anchor names one.
            return bool(node) if type(node).__name__ == "ScalarBoolean" else int(node)
        if isinstance(node, bytes):
            self.faults.append(Fault(path, "must be text, not binary data"))
            return ""
        if not isinstance(node, float):
            return str(node)
        if not math.isfinite(node):
            self.faults.append(Fault(path, "must be a finite number"))
            return 0.0
        return float(node)

    def _mapping(self, node: Mapping[Any, Any], path: KeyPath) -> Plain:
        result: Plain = {}
        for key, value in node.items():
            if not isinstance(key, str):
                self._note(node, "key", key, (*path, str(key)))
                self.faults.append(Fault((*path, str(key)), "a key must be text"))
                continue
            here = (*path, str(key))
            self._note(node, "key", key, here)
            result[str(key)] = self.plain(value, here)
        return result

    def _note(self, node: Any, kind: str, key: Any, path: KeyPath) -> None:
        # A merged or tagged node has no line of its own: its parent's is shown.
        with contextlib.suppress(AttributeError, KeyError, TypeError, IndexError):
            self.lines[path] = getattr(node.lc, kind)(key)[0] + 1


def nearest(word: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?`` for the most similar of ``known``, or the whole list of them."""
    known = sorted(known)
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"; did you mean '{close[0]}'?" if close else f"; known: {', '.join(known)}"


def _dotted(path: KeyPath) -> str:
    text = ""
    for key in path:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else key
    return f"{text}: " if text else ""


def _fault(model: type[BaseModel], path: KeyPath, error: Any) -> Fault:
    """One pydantic error in words. ``error``: an item of ValidationError.errors()."""
    kind, context = error["type"], error.get("ctx", {})
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        known = _keys(model, path[:-1])
        return Fault(path, f"unknown key{nearest(str(path[-1]), known)}")
    if kind == "missing":
        return Fault(path, "is missing; it must be given")
    if kind == "value_error":
        return Fault(path, str(context["error"]))
    message = str(error["msg"]).replace("Input should be", "must be")
    return Fault(path, f"{message}, not {json.dumps(error['input'], default=str)[:80]}")


def _keys(model: type[BaseModel], path: KeyPath) -> set[str]:
    """The keys that ``model`` knows at ``path``."""
    current: Any = model
    for key in path:
        if isinstance(current, type) and issubclass(current, BaseModel):
            info = current.model_fields.get(str(key))
            current = _model_in(info.annotation) if info else None
    if isinstance(current, type) and issubclass(current, BaseModel):
        return set(current.model_fields)
    kind = cast(type[object], current)
    return {item.name for item in fields(kind)} if is_dataclass(kind) else set()


def _model_in(annotation: Any) -> Any:
    """The document model inside ``list[M]``, ``M | None``, ``dict[str, M]``."""
    if isinstance(annotation, type) and not get_args(annotation):
        return annotation
    found = [_model_in(part) for part in get_args(annotation)]
    return next((f for f in found if isinstance(f, type) and issubclass(f, BaseModel)), None)
