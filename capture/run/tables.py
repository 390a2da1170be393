"""The ledger's tables: how each version of the schema is reached from the one before it."""

from __future__ import annotations

SCHEMA_VERSION = 4

SCHEMA = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE documents (
    sha256 TEXT PRIMARY KEY, kind TEXT NOT NULL, text TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE songs (
    number INTEGER PRIMARY KEY, song_id TEXT UNIQUE NOT NULL, split TEXT, record TEXT NOT NULL
);
CREATE TABLE calibrations (
    number INTEGER PRIMARY KEY, calibration_id TEXT UNIQUE NOT NULL, record TEXT NOT NULL
);
CREATE TABLE sessions (
    number INTEGER PRIMARY KEY, session_id TEXT UNIQUE NOT NULL, record TEXT NOT NULL
);
CREATE TABLE takes (
    number INTEGER PRIMARY KEY, take_id TEXT UNIQUE NOT NULL, status TEXT NOT NULL,
    song_id TEXT NOT NULL, setting_id TEXT NOT NULL, repeat INTEGER NOT NULL,
    num_frames INTEGER NOT NULL, record TEXT NOT NULL
);
CREATE INDEX takes_by_status ON takes (status, num_frames);
"""
UPGRADES = {
    1: """
CREATE TABLE laws (
    number INTEGER PRIMARY KEY, law_id TEXT UNIQUE NOT NULL, record TEXT NOT NULL
);
CREATE TABLE anchors (number INTEGER PRIMARY KEY, record TEXT NOT NULL);
CREATE TABLE enrolments (
    number INTEGER PRIMARY KEY, enrolment_id TEXT UNIQUE NOT NULL, record TEXT NOT NULL
);
CREATE TABLE fingerprints (
    number INTEGER PRIMARY KEY, fingerprint_id TEXT UNIQUE NOT NULL, record TEXT NOT NULL
);
CREATE TABLE withdrawn (
    number INTEGER PRIMARY KEY, take_id TEXT NOT NULL, reason TEXT NOT NULL, record TEXT NOT NULL
);
""",
    2: """
CREATE TABLE impossible (
    setting_id TEXT PRIMARY KEY, reason TEXT NOT NULL, said_at TEXT NOT NULL
);
CREATE TABLE visits (number INTEGER PRIMARY KEY, record TEXT NOT NULL);
""",
    3: """
CREATE TABLE releases (
    number INTEGER PRIMARY KEY, version TEXT UNIQUE NOT NULL, record TEXT NOT NULL
);
CREATE TABLE superseded (
    number INTEGER PRIMARY KEY, take_id TEXT UNIQUE NOT NULL, added_in TEXT NOT NULL,
    reason TEXT NOT NULL, damaged INTEGER NOT NULL, record TEXT NOT NULL
);
ALTER TABLE takes ADD COLUMN added_in TEXT;
CREATE INDEX takes_by_calibration ON takes (json_extract(record, '$.calibration_id'));
""",
}
"""From each version to the next. A new ledger begins with version 1 and takes every step."""
ADOPTED = {
    "calibrations": "calibration_id",
    "laws": "law_id",
    "anchors": None,
    "enrolments": "enrolment_id",
    "fingerprints": "fingerprint_id",
    "visits": None,
    "sessions": "session_id",
}
"""What a merged dataset brings besides songs and takes, and the column that names it."""
ASKED = ("facts", "documents", "songs", "impossible")
"""What a dataset without takes knows no more when it is begun anew ..."""
MEASURED = ("calibrations", "laws", "anchors", "enrolments", "fingerprints")
"""... and this where the rig is another."""
