"""A page of HTML that needs nothing but itself: no script, no font, no address to fetch from."""

from __future__ import annotations

import html
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Cell = str | int | float | None
FOLDED = 12
"""A table with more rows is folded."""
STYLE = """\
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
  color: #1a1a1a; background: #fff; }
h1 { font-size: 1.6rem; } h2 { margin-top: 2.5rem; border-bottom: 1px solid #bbb; }
h3 { font-size: 1rem; margin: 1.5rem 0 0.3rem; } p { max-width: 46rem; }
figure { margin: 1rem 0; } figcaption { color: #444; font-size: 0.9rem; }
svg { max-width: 100%; height: auto; } svg text { font-family: system-ui, sans-serif !important; }
table { border-collapse: collapse; margin: 0.5rem 0; font-size: 0.85rem; }
caption { text-align: left; font-weight: 600; padding: 0.3rem 0; }
th, td { border-bottom: 1px solid #ddd; padding: 0.15rem 0.6rem; text-align: left;
  vertical-align: top; overflow-wrap: anywhere; }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
nav ul { columns: 2; } summary { cursor: pointer; padding: 0.3rem 0; }
.bad { color: #a30d1b; font-weight: 600; }
"""


@dataclass(frozen=True, slots=True)
class Plot:
    """``says``: what is to be seen in it, in words; the caption."""

    title: str
    svg: str
    says: str


@dataclass(frozen=True, slots=True)
class Table:
    """Absent cells are dashes. ``says``: a sentence under it."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    says: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    says: Sequence[str]
    parts: Sequence[Plot | Table] = ()


def page(title: str, says: Sequence[str], sections: Sequence[Section]) -> str:
    """The whole document."""
    entries = "".join(
        f'<li><a href="#{_anchor(one.title)}">{_text(one.title)}</a></li>\n' for one in sections
    )
    number = itertools.count(1)
    body = "".join(_section(one, number) for one in sections)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_text(title)}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>{_text(title)}</h1>\n{_paragraphs(says)}"
        f'<nav aria-label="Sections"><ul>\n{entries}</ul></nav>\n{body}</main>\n</body>\n</html>\n'
    )


def _section(section: Section, number: Iterator[int]) -> str:
    parts = "".join(
        _plot(part, f"f{next(number)}") if isinstance(part, Plot) else _table(part)
        for part in section.parts
    )
    return (
        f'<section id="{_anchor(section.title)}">\n<h2>{_text(section.title)}</h2>\n'
        f"{_paragraphs(section.says)}{parts}</section>\n"
    )


def _plot(plot: Plot, name: str) -> str:
    """Every id in a page is its own; the picture is named and described."""
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', plot.svg)
    svg = re.sub(r'(url\(|href=")#', rf"\1#{name}-", svg)
    svg = svg.replace("<svg ", f'<svg role="img" aria-labelledby="{name}-t {name}-d" ', 1)
    first = svg.index(">") + 1
    described = (
        f'\n<title id="{name}-t">{_text(plot.title)}</title>'
        f'\n<desc id="{name}-d">{_text(plot.says)}</desc>'
    )
    return (
        f"<figure>\n<h3>{_text(plot.title)}</h3>\n{svg[:first]}{described}{svg[first:]}"
        f"<figcaption>{_text(plot.says)}</figcaption>\n</figure>\n"
    )


def _table(table: Table) -> str:
    header = "".join(f'<th scope="col">{_text(name)}</th>' for name in table.header)
    rows = "".join(f"<tr>{''.join(map(_cell, row))}</tr>\n" for row in table.rows)
    says = f"<p>{_text(table.says)}</p>\n" if table.says else ""
    whole = (
        f"<table>\n<caption>{_text(table.title)}</caption>\n<thead><tr>{header}</tr></thead>\n"
        f"<tbody>\n{rows}</tbody>\n</table>\n{says}"
    )
    if len(table.rows) <= FOLDED:
        return whole
    return (
        f"<details>\n<summary>{_text(table.title)}: {len(table.rows):,} rows</summary>\n"
        f"{whole}</details>\n"
    )


def _cell(value: Cell) -> str:
    if value is None:
        return "<td>–</td>"
    if isinstance(value, str):
        kind = ' class="bad"' if value in ("fail", "contradicted", "fault", "differs") else ""
        return f"<td{kind}>{_text(value)}</td>"
    return f'<td class="number">{value:,}</td>' if isinstance(value, int) else _number(value)


def _number(value: float) -> str:
    return f'<td class="number">{value:.4g}</td>'


def _paragraphs(sentences: Sequence[str]) -> str:
    return "".join(f"<p>{_text(one)}</p>\n" for one in sentences)


def _text(text: str) -> str:
    return html.escape(text, quote=True)


def _anchor(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
