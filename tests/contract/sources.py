"""Our own source files, and the text in them, as the contract tests see them."""

import ast
import gc
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GENERATED = (ROOT / "libs/sdk/tally", ROOT / "libs/sdk/buf")


def python_files(*folders: str) -> list[Path]:
    """Hand-written Python files below the given folders of the repository."""
    found = (path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return sorted(path for path in found if not any(path.is_relative_to(generated) for generated in GENERATED))


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def tree(path: Path) -> ast.Module:
    """Parsed without garbage collection: a finalizer may parse too (to print a traceback), and CPython 3.11 answers that
    with "AST constructor recursion depth mismatch"."""
    gc.disable()
    try:
        return ast.parse(path.read_text(), str(path))
    finally:
        gc.enable()


def strings(path: Path) -> Iterator[tuple[int, str]]:
    """Every string of a file with its line, f-strings with `{}` for what is filled in, docstrings left out."""
    module = tree(path)
    documentation = {
        id(node.body[0].value)
        for node in ast.walk(module)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    parts = {id(part) for node in ast.walk(module) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(module):
        if isinstance(node, ast.JoinedStr):
            yield (
                node.lineno,
                "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values),
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation | parts:
            yield node.lineno, node.value
