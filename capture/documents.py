"""YAML documents that people write: read strictly, with every fault named at its line.

``read`` turns text into plain data and remembers the line of every key. ``Document.check``
validates the data against a pydantic model; ``Document.refuse`` puts faults that other code found
at their lines. Both report all faults at once, as one ``BadInput``.

YAML 1.2, one document, text keys only. A key that occurs twice is a fault, and so is a tag that
means something else. Dates stay text. Aliases and ``<<`` work.
"""

from __future__ import annotations

import difflib
import io
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Annotated, Any, TypeVar, cast, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    PlainSerializer,
    PlainValidator,
    ValidationError,
)

from capture.errors import BadInput, Fault, KeyPath
from capture.model import Auto, Value, parse_value

MAX_CHARACTERS = 1_000_000
MAX_NODES = 200_000
MAX_DEPTH = 40
MAX_DIGITS = 40
MAX_SENTENCE = 500

TEXT = frozenset({"str", "timestamp", "value", "merge"})
TAGS = {
    "scalar": TEXT | {"null", "bool", "int", "float"},
    "sequence": frozenset({"seq"}),
    "mapping": frozenset({"map"}),
}
"""What may stand in a document, by the parser's kind of node. Dates and ``=`` are text."""

Plain = dict[str, Any]
Model = TypeVar("Model", bound=BaseModel)


class Strict(BaseModel):
    """The base of all document models: frozen, no unknown key, no NaN or infinity, no coercion."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def _position(data: object) -> Value:
    if isinstance(data, str) and data != "auto":
        raise ValueError(f"{data!r} is text: give a number without quotes, or auto")
    return parse_value(data)


def _version(data: int) -> int:
    if data != 1:
        raise ValueError(f"{data} is not known here; this version of capture knows 1")
    return data


SchemaVersion = Annotated[int, AfterValidator(_version)]
"""The version of a document's format."""


def _plain_value(value: Value) -> float | str:
    return value.value if isinstance(value, Auto) else value


PositionValue = Annotated[
    float | Auto,
    PlainValidator(_position),
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

    def salvage(self, model: type[Model], stand_in: Plain) -> Model | None:
        """A faulty document as ``model``, with those of ``stand_in`` for its faulty sections.

        None if a faulty section has nothing that stands in for it.
        """
        try:
            return model.model_validate_json(json.dumps(self.data))
        except ValidationError as error:
            faulty = {item["loc"][0] for item in error.errors() if item["loc"]}
        sound = {key: value for key, value in self.data.items() if key not in faulty}
        try:
            return model.model_validate_json(json.dumps({**stand_in, **sound}))
        except ValidationError:
            return None

    def refuse(self, faults: Iterable[Fault]) -> BadInput:
        """The exception that tells all ``faults``, each with the line of its place."""
        located = sorted(((self._line(fault.path), fault) for fault in faults), key=lambda x: x[0])
        return BadInput(
            *(
                _short(f"{self.source}, line {line}: {_dotted(fault.path)}{fault.message}")
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

    if len(text) > MAX_CHARACTERS:
        raise BadInput(f"{source}: too large: at most {MAX_CHARACTERS} characters")
    yaml: Any = YAML(typ="safe", pure=True)
    reader = _Reader()
    try:
        root = yaml.compose(io.StringIO(text))
        data = reader.plain(root, ()) if root else None
    except (RecursionError, _TooLarge):
        raise BadInput(
            f"{source}: too large: at most {MAX_NODES} values and {MAX_DEPTH} levels "
            "(does an alias contain itself?)"
        ) from None
    except Exception as error:  # the parser lets many kinds escape on malformed text
        raise _unreadable(source, error) from None
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
    if problem.startswith("but "):  # the parser's sentence began in its context
        problem = f"{error.context}, {problem}"
    return BadInput(f"{source}{where}: not valid YAML: {problem.strip().splitlines()[0]}")


class _TooLarge(Exception):
    """More values or levels than a document may have, once its aliases are followed."""


class _Reader:
    """Turns the parser's nodes into plain data, noting lines and faults on the way."""

    def __init__(self) -> None:
        self.lines: dict[KeyPath, int] = {(): 1}
        self.faults: list[Fault] = []
        self.nodes = 0

    def plain(self, node: Any, path: KeyPath) -> Any:
        self.nodes += 1
        if self.nodes > MAX_NODES or len(path) > MAX_DEPTH:
            raise _TooLarge
        self.lines.setdefault(path, node.start_mark.line + 1)
        kind = _kind(node)
        if kind not in TAGS[node.id]:
            self._fault(path, f"the tag {str(node.tag)!r} has no meaning here; remove it")
        if node.id == "mapping":
            return self._mapping(node, path)
        if node.id == "sequence":
            return [self.plain(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._scalar(kind, node.value, path)

    def _scalar(self, kind: str, text: str, path: KeyPath) -> Any:
        if kind == "null":
            return None
        if kind == "bool":
            return text.lower() in ("true", "yes", "on", "y")
        if kind in ("int", "float"):
            return self._number(kind, text, path)
        return self._text(text, path)

    def _number(self, kind: str, text: str, path: KeyPath) -> float:
        digits = text.replace("_", "").lower()
        base = 0 if digits.lstrip("+-")[:2] in ("0x", "0o", "0b") else 10
        try:
            number = int(digits[:MAX_DIGITS], base) if kind == "int" else float(digits)
        except ValueError:
            number = math.nan
        if len(digits) > MAX_DIGITS or not math.isfinite(number):
            self._fault(path, f"must be a finite number, not {text[:MAX_DIGITS]}")
            return 0
        return number

    def _text(self, text: str, path: KeyPath) -> str:
        try:  # two escapes may name the halves of one character, as in JSON
            return text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            self._fault(path, f"{text!a} is no text: an escape in it names half a character")
            return ""

    def _mapping(self, node: Any, path: KeyPath) -> Plain:
        result: Plain = {}
        merged: list[Any] = []
        for key, value in node.value:
            if _kind(key) == "merge":
                merged += value.value if value.id == "sequence" else [value]
                continue
            line = key.start_mark.line + 1
            name = self._text(key.value, path) if key.id == "scalar" else "?"
            here = (*path, name)
            if name in result:
                self._fault(here, f"is given again in line {line}; remove one of them")
                continue
            self.lines[here] = line
            if key.id != "scalar" or _kind(key) not in TEXT:
                self._fault(here, "a key must be text")
            result[name] = self.plain(value, here)
        for other in merged:
            if getattr(other, "id", None) != "mapping":
                self._fault(path, "<< takes a mapping, or a list of mappings")
                continue
            for name, value in self.plain(other, path).items():
                result.setdefault(name, value)
        return result

    def _fault(self, path: KeyPath, message: str) -> None:
        self.faults.append(Fault(path, message))


def _kind(node: Any) -> str:
    """``int`` for ``tag:yaml.org,2002:int``; other tags as they are."""
    return str(node.tag).removeprefix("tag:yaml.org,2002:")


def nearest(word: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?`` for the most similar of ``known``, or the whole list of them."""
    known = sorted(known)
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"; did you mean '{close[0]}'?" if close else f"; known: {', '.join(known)}"


def _short(sentence: str) -> str:
    """What a user wrote may be long; a sentence about it is not."""
    return sentence if len(sentence) <= MAX_SENTENCE else f"{sentence[: MAX_SENTENCE - 3]}..."


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
    for theirs, ours in (
        ("an object", "a mapping"),
        ("valid array", "list"),
        ("a valid string", "text"),
    ):
        message = message.replace(theirs, ours)
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
