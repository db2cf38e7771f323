"""`tally verify-schema`: is the database as those who read it rely on?"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import typer
from pydantic import BaseModel, computed_field
from rich.table import Table as Listing

from libs.cli.migrate import database_url
from libs.cli.output import Json, console, print_json
from libs.cli.stack import without_password
from libs.cli.verify_schema_declared import INDEXES, TABLES, VIEWS, Column, Table, View
from libs.devstack.errors import DevstackError
from libs.devstack.settings import StackSettings

if TYPE_CHECKING:
    import psycopg

MISSING = "missing"

COLUMNS = """
SELECT n.nspname || '.' || c.relname, c.relkind = 'm', c.relispopulated, a.attname,
       format_type(a.atttypid, a.atttypmod), coalesce(pg_get_expr(d.adbin, d.adrelid), ''), NOT a.attnotnull
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname || '.' || c.relname = ANY(%s)
ORDER BY c.oid, a.attnum
"""
# A CHECK is told with the one column it is about, a foreign key with what it holds of.
CONSTRAINTS = """
SELECT n.nspname || '.' || c.relname, k.contype::text,
       ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS key(attnum, place)
             JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = key.attnum ORDER BY place),
       coalesce(hn.nspname || '.' || h.relname, ''), pg_get_constraintdef(k.oid), k.convalidated
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_class h ON h.oid = k.confrelid LEFT JOIN pg_namespace hn ON hn.oid = h.relnamespace
WHERE n.nspname || '.' || c.relname = ANY(%s)
"""
EVERY_INDEX = """
SELECT n.nspname || '.' || i.relname, pg_get_indexdef(x.indexrelid), x.indisvalid AND x.indisready AND x.indislive,
       x.indisunique AND x.indpred IS NULL, t.nspname || '.' || c.relname,
       ARRAY(SELECT a.attname::text FROM unnest(x.indkey) WITH ORDINALITY AS key(attnum, place)
             JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = key.attnum ORDER BY place)
FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_namespace n ON n.oid = i.relnamespace
JOIN pg_class c ON c.oid = x.indrelid JOIN pg_namespace t ON t.oid = c.relnamespace
WHERE n.nspname || '.' || i.relname = ANY(%s) OR t.nspname || '.' || c.relname = ANY(%s)
"""


class Difference(BaseModel):
    """Something that is not as it should be: what, and both ways it could be."""

    what: str
    expected: str
    found: str


class SchemaReport(BaseModel):
    """What was compared, and every difference."""

    tables: int
    columns: int
    indexes: int
    views: int
    differences: list[Difference]

    @computed_field  # type: ignore[prop-decorator]  # pydantic documents it so
    @property
    def matches(self) -> bool:
        return not self.differences


@dataclass
class Found:
    """What a database has of one table or view."""

    columns: dict[str, Column] = field(default_factory=dict)
    is_view: bool = False
    populated: bool = True
    primary_key: tuple[str, ...] = ()
    foreign_keys: dict[str, str] = field(default_factory=dict)
    unique: set[tuple[str, ...]] = field(default_factory=set)
    words: dict[str, frozenset[str]] = field(default_factory=dict)


@dataclass
class Catalog:
    """What a database has of what was declared.

    Args:
        indexes: each with its definition, and whether it is valid.
    """

    relations: dict[str, Found]
    indexes: dict[str, tuple[str, bool]]


def register(app: typer.Typer) -> None:
    app.command("verify-schema")(verify_schema)


def verify_schema(as_json: Json = False) -> None:
    """Compare the database with the tables, columns, indexes and views that were agreed on. Exit status 1 if any differs."""
    url = database_url(StackSettings())
    report = compare(url)
    print_json(report) if as_json else _show(report, url)
    raise typer.Exit(not report.matches)


def compare(url: str) -> SchemaReport:
    """Reads the catalogs, and changes nothing.

    Raises:
        DevstackError: the database cannot be reached.
    """
    import psycopg

    try:
        with psycopg.connect(url, connect_timeout=5) as connection:
            connection.read_only = True
            found = read_catalog(connection)
    except psycopg.OperationalError as error:
        raise DevstackError(f"the database {without_password(url)} cannot be reached: {error}") from error
    return SchemaReport(
        tables=len(TABLES),
        columns=sum(len(t.columns) for t in TABLES.values()) + sum(len(v.columns) for v in VIEWS.values()),
        indexes=len(INDEXES),
        views=len(VIEWS),
        differences=list(differences(found)),
    )


def read_catalog(connection: "psycopg.Connection[Any]") -> Catalog:
    names = [*TABLES, *VIEWS]
    found = Catalog({}, {})
    for name, is_view, populated, column, type_, default, null in connection.execute(COLUMNS, [names]):
        relation = found.relations.setdefault(name, Found(is_view=is_view, populated=populated))
        relation.columns[column] = Column(type_, _without_cast(default), null)
    for name, kind, columns, held, definition, valid in connection.execute(CONSTRAINTS, [names]):
        relation = found.relations[name]
        if kind == "p":
            relation.primary_key = tuple(columns)
        elif kind == "f" and len(columns) == 1 and valid:
            relation.foreign_keys[columns[0]] = held
        elif kind == "c" and len(columns) == 1 and valid and (words := re.findall(r"'([^']*)'", definition)):
            relation.words[columns[0]] = frozenset(words)
    for name, definition, valid, unique, relation_name, columns in connection.execute(
        EVERY_INDEX, [list(INDEXES), names]
    ):
        found.indexes[name] = (definition, valid)
        if unique and valid and relation_name in found.relations:
            found.relations[relation_name].unique.add(tuple(columns))
    return found


def _without_cast(default: str) -> str:
    return re.sub(r"::[a-z ]+(\(\d+(,\d+)?\))?$", "", default)


def differences(found: Catalog) -> Iterator[Difference]:
    """Every difference there is, one a fact."""
    for name, table in TABLES.items():
        relation = found.relations.get(name)
        if relation is None or relation.is_view:
            yield Difference(what=f"table {name}", expected="a table", found=MISSING)
        else:
            yield from _of_table(name, table, relation)
    for name, view in VIEWS.items():
        relation = found.relations.get(name)
        if relation is None or not relation.is_view:
            yield Difference(what=f"view {name}", expected="a materialized view", found=MISSING)
        else:
            yield from _of_view(name, view, relation)
    for name, definition in INDEXES.items():
        yield from _of_index(name, definition, found.indexes.get(name))


def _of_table(name: str, table: Table, found: Found) -> Iterator[Difference]:
    for column, declared in table.columns.items():
        yield from _of_column(f"{name}.{column}", declared, found.columns.get(column), found.words.get(column))
    yield from _unequal(f"primary key of {name}", _listed(table.primary_key), _listed(found.primary_key))
    for column, held in table.foreign_keys.items():
        yield from _unequal(f"foreign key {name}.{column}", held, found.foreign_keys.get(column, MISSING))
    for column in table.unique:
        yield from _unequal(f"unique {name}.{column}", "unique", "unique" if (column,) in found.unique else MISSING)


def _of_column(name: str, declared: Column, found: Column | None, words: frozenset[str] | None) -> Iterator[Difference]:
    if found is None:
        yield Difference(what=f"column {name}", expected=declared.type, found=MISSING)
        return
    yield from _unequal(f"type of {name}", declared.type, found.type)
    yield from _unequal(f"default of {name}", declared.default or "none", found.default or "none")
    if declared.null is not None:
        said = {True: "NULL", False: "NOT NULL"}
        yield from _unequal(f"null of {name}", said[declared.null], said[bool(found.null)])
    if declared.words:
        yield from _unequal(f"words of {name}", _listed(sorted(declared.words)), _listed(sorted(words or ())))


def _of_view(name: str, view: View, found: Found) -> Iterator[Difference]:
    for column, type_ in view.columns.items():
        there = found.columns.get(column)
        yield from _unequal(f"column {name}.{column}", type_, there.type if there else MISSING)
    if view.columns.keys() == found.columns.keys():
        yield from _unequal(f"order of columns of {name}", _listed(view.columns), _listed(found.columns))
    for column in found.columns.keys() - view.columns.keys():
        yield Difference(what=f"column {name}.{column}", expected="none", found=found.columns[column].type)
    yield from _unequal(f"contents of {name}", "populated", "populated" if found.populated else "never refreshed")
    unique = "unique" if view.unique in found.unique else MISSING
    yield from _unequal(f"unique {name} ({_listed(view.unique)})", "unique", unique)


def _of_index(name: str, declared: str, found: tuple[str, bool] | None) -> Iterator[Difference]:
    if found is None:
        yield Difference(what=f"index {name}", expected=declared, found=MISSING)
        return
    definition, valid = found
    expected = f"CREATE INDEX {name.partition('.')[2]} {declared}"
    yield from _unequal(f"definition of {name}", expected, definition)
    yield from _unequal(f"state of {name}", "valid", "valid" if valid else "INVALID")


def _unequal(what: str, expected: str, found: str) -> Iterator[Difference]:
    if expected != found:
        yield Difference(what=what, expected=expected, found=found)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)


def _show(report: SchemaReport, url: str) -> None:
    looked_at = f"{report.tables} tables, {report.columns} columns, {report.indexes} indexes, {report.views} view"
    console.print(f"{without_password(url)}: {looked_at}")
    if report.matches:
        console.print("[green]as agreed on[/]")
        return
    listing = Listing("", "expected", "found", box=None, pad_edge=False)
    for each in report.differences:
        listing.add_row(each.what, each.expected, f"[red]{each.found}[/]")
    console.print(listing)
