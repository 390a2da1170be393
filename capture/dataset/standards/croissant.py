"""``croissant.json``: the release as Croissant 1.1 with the RAI vocabulary 1.0. Pure.

Record sets are the release's tables. That of ``takes`` has what training needs; its measurements
and checks are record sets of their own, of the same file: mlcroissant 1.1 needs a time for each
row that grows with the square of the fields. ``inputs``, ``outputs`` and ``cvs`` are the audio, a
file a record; their ``file`` is ``input_file``, ``output_file`` and ``cv_file`` of ``takes``. They
are read file by file, and hold what the folder holds, not only this release.

mlcroissant has no reader for FLAC: ``text/plain`` beside ``audio/flac`` makes it hand out the bytes
of a file as they are. Sources: MLCommons, Croissant format specification 1.1, appendix 1; Croissant
RAI specification 1.0.
"""

from __future__ import annotations

import json
from typing import Any

from capture.dataset import files
from capture.dataset.arrow import pyarrow
from capture.dataset.standards import rai
from capture.dataset.standards.facts import Facts
from capture.dataset.standards.meanings import KEYS, TITLES, meaning

NAME = "croissant.json"
CONFORMS_TO = ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"]
SPDX = "https://spdx.org/licenses/"
PARQUET = "application/x-parquet"
TYPES = {
    "string": "sc:Text", "int64": "sc:Integer", "double": "sc:Float", "bool": "sc:Boolean",
}  # fmt: skip
AUDIO = {
    "inputs": ("data/inputs/*.flac", "the songs as played, before the send gain; 24-bit stereo"),
    "outputs": ("data/takes/*/*.out.flac", "the stereo returns; 24-bit, frame 0 is the input's"),
    "cvs": ("data/takes/*/*.cv.flac", "the control voltages as converted; 24-bit mono"),
}
FIRST = ("take_id", "song_id", "split", "setting_split")
LAST = ("input_file", "output_file", "cv_file", "gain_db_per_fs", "gain_db_at_zero")
OWN = (
    "annotation arrayShape citeAs column containedIn equivalentProperty excludes extract field "
    "fileProperty fileObject fileSet format includes isArray isLiveDataset jsonPath key md5 "
    "parentField path readLines recordSet references regex repeated replace samplingRate "
    "sdVersion separator source subField transform unArchive value"
)
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
} | {name: f"cr:{name}" for name in OWN.split()}

Json = dict[str, Any]


def text(facts: Facts) -> str:
    """The file's text."""
    about, identity, released_at = facts.about, facts.found.identity, facts.release["released_at"]
    document: Json = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": identity["name"],
        "alternateName": about.title,
        "identifier": identity["dataset_id"],
        "description": facts.description,
        "conformsTo": CONFORMS_TO,
        "version": facts.version,
        "license": license_url(about.license) if about.license else None,
        "url": about.url,
        "creator": [{"@type": "sc:Person", "name": name} for name in about.creators] or None,
        "keywords": about.keywords or None,
        "citeAs": about.citation,
        "dateCreated": identity["created_at"],
        "dateModified": released_at,
        "datePublished": released_at,
        **rai.keys(facts),
        "distribution": [*(_table_file(facts, name) for name in facts.tables), *_file_sets()],
        "recordSet": [*_record_sets(facts), *_audio_sets()],
    }
    stated = {key: value for key, value in document.items() if value is not None}
    return json.dumps(stated, indent=1, allow_nan=False) + "\n"


def license_url(text: str) -> str:
    """A licence as Croissant wants it: its address."""
    return text if "://" in text else SPDX + text


def _table_file(facts: Facts, name: str) -> Json:
    path = facts.found.folder / f"{name}.parquet"
    return {
        "@type": "cr:FileObject",
        "@id": path.name,
        "name": path.name,
        "description": TITLES[name],
        "contentUrl": path.relative_to(facts.found.root).as_posix(),
        "contentSize": f"{path.stat().st_size} B",
        "encodingFormat": PARQUET,
        "sha256": files.sha256(path),
    }


def _file_sets() -> list[Json]:
    return [
        {
            "@type": "cr:FileSet",
            "@id": f"{name}-files",
            "name": f"{name}-files",
            "description": said,
            "encodingFormat": ["audio/flac", "text/plain"],
            "includes": glob,
        }
        for name, (glob, said) in AUDIO.items()
    ]


def _record_sets(facts: Facts) -> list[Json]:
    found: list[Json] = []
    for table in facts.tables:
        schema = pyarrow().parquet.read_schema(facts.found.folder / f"{table}.parquet")
        types = {field.name: TYPES[str(field.type)] for field in schema}
        for name, columns in _parts(facts, table, list(types)).items():
            fields = [_field(name, table, column, types[column]) for column in columns]
            key = [{"@id": f"{name}/{column}"} for column in KEYS.get(table, ())]
            found.append(_record_set(name, TITLES[table], fields) | ({"key": key} if key else {}))
    return found


def _parts(facts: Facts, table: str, columns: list[str]) -> dict[str, list[str]]:
    """The record sets of a table, each with its columns."""
    if table != "takes":
        return {table: columns}
    training = [name for name in (*FIRST, *facts.controls, *LAST) if name in columns]
    checks = [name for name in columns if name.startswith("check_")]
    rest = [name for name in columns if name not in {*training, *checks}]
    return {
        "takes": training,
        "take_measurements": ["take_id", *rest],
        "take_checks": ["take_id", *checks],
    }


def _record_set(name: str, said: str, fields: list[Json]) -> Json:
    return {
        "@type": "cr:RecordSet", "@id": name, "name": name, "description": said, "field": fields,
    }  # fmt: skip


def _field(record_set: str, table: str, column: str, kind: str) -> Json:
    said = meaning(table, column)
    return {
        "@type": "cr:Field",
        "@id": f"{record_set}/{column}",
        "name": column,
        **({"description": said} if said else {}),
        "dataType": kind,
        "source": {
            "fileObject": {"@id": f"{table}.parquet"},
            "extract": {"column": column},
        },
    }


def _audio_sets() -> list[Json]:
    found: list[Json] = []
    for name, (_, said) in AUDIO.items():
        column = f"{name.removesuffix('s')}_file"
        fields = [
            ("file", f"as {column} in takes", "sc:Text", "fullpath"),
            ("audio", "the file's bytes: FLAC", "sc:AudioObject", "content"),
        ]
        found.append(
            _record_set(
                name,
                said,
                [
                    {
                        "@type": "cr:Field",
                        "@id": f"{name}/{field}",
                        "name": field,
                        "description": meant,
                        "dataType": kind,
                        "source": {
                            "fileSet": {"@id": f"{name}-files"},
                            "extract": {"fileProperty": source},
                        },
                    }
                    for field, meant, kind, source in fields
                ],
            )
        )
    return found
