"""Command lines of dataclasses: an option for each field, grouped by the class that defines it."""

from __future__ import annotations

import argparse
import ast
import contextlib
import dataclasses
import difflib
import importlib.util
import inspect
import io
import re
import shutil
import sys
import textwrap
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeVar

from experiments.cli import command

Options = TypeVar("Options")
_COLUMN = 30
"""Where the texts of the options begin."""
_METAVARS = {float: "NUMBER", int: "N", str: "NAME", Path: "PATH"}


def parse(
    kind: type[Options],
    *,
    prog: str,
    description: str | None,
    args: Sequence[str] | None = None,
    default: Options | None = None,
    known: Callable[[Options], Mapping[str, Any]] = lambda options: {},
) -> Options:
    """The options of a command line; a wrong one ends the process with status 2 and one line that names it.

    Args:
        kind: a dataclass, whose fields are the options. Metadata {"option": False} hides a field, {"positional": True}
            makes it an argument without a name; a field `typed` receives the names of the options that were given. The
            strings below the fields are their texts, and the first lines of the docstrings of the classes head the
            groups.
        prog: the command, as it is typed.
        description: the text of `--help` above the options.
        args: the arguments; those of the process by default.
        default: the values of options that are not given; the defaults of `kind` otherwise.
        known: the values that options which are None will have, for `--help`, from the other options.
    """
    words = [_dashed(word) for word in (sys.argv[1:] if args is None else args)]
    parser = _Parser(kind, prog)
    if "-h" in words or "--help" in words:
        rest = [word for word in words if word not in ("-h", "--help")]
        shown: dict[str, Any] = {}
        with contextlib.suppress(SystemExit), contextlib.redirect_stderr(io.StringIO()):
            given = parser.read(rest, default)
            shown = {name: value for name, value in vars(given).items() if value is not None}
            shown = {**known(given), **shown}
        with command.printing():
            print("\n".join(_help(kind, prog, description or "", shown)))
        sys.exit(0)
    options = parser.read(words, default)
    if importlib.util.find_spec("rich") is None:  # the first of the commands' libraries that all of them need
        print("error: the libraries of the commands are not installed: pip install -e '.[commands]'", file=sys.stderr)
        sys.exit(2)
    return options


class _Parser(argparse.ArgumentParser):
    """argparse with an option for each field, and errors in one line."""

    def __init__(self, kind: Any, prog: str) -> None:
        super().__init__(prog=prog, add_help=False, allow_abbrev=False, argument_default=argparse.SUPPRESS)
        self._negative_number_matcher = re.compile(r"-(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$")  # with exponents
        self.kind, self.names = kind, list[str]()
        for field, hint in _options(kind):
            element, count = _element(hint)
            required = field.default is dataclasses.MISSING
            if field.metadata.get("positional"):
                nargs: Any = "+" if count == "*" and required else count
                more = {} if nargs is None else {"nargs": nargs}
                self.add_argument(field.name, type=_reader(element), metavar=_metavar(element), **more)
                continue
            self.names.append(_name(field))
            if element is bool:
                self.add_argument(self.names[-1], dest=field.name, action=argparse.BooleanOptionalAction)
                continue
            self.add_argument(self.names[-1], dest=field.name, type=_reader(element), nargs=count, required=required)

    def read(self, words: Sequence[str], default: Any) -> Any:
        """The options given by the arguments."""
        found, unknown = self.parse_known_args(words)
        if unknown:
            name = unknown[0].partition("=")[0]
            close = difflib.get_close_matches(name, self.names, n=2)
            self.error(f"{name} is no option" + (f"; did you mean {' or '.join(close)}?" if close else ""))
        given = {name: tuple(value) if isinstance(value, list) else value for name, value in vars(found).items()}
        if "typed" in (field.name for field in dataclasses.fields(self.kind)):
            given["typed"] = tuple(given)
        return self.kind(**given) if default is None else dataclasses.replace(default, **given)

    def error(self, message: str) -> NoReturn:
        """End the process."""
        message = re.sub("^argument ([^:]+): ", r"\1 ", message)
        print(f"error: {message} ({self.prog} --help lists the options)", file=sys.stderr)
        sys.exit(2)


def _options(kind: Any) -> Iterator[tuple[dataclasses.Field[Any], Any]]:
    """The fields that are options, with their types."""
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        if field.metadata.get("option", True):
            yield field, hints[field.name]


def _name(field: dataclasses.Field[Any]) -> str:
    return "--" + field.name.replace("_", "-")


def _dashed(word: str) -> str:
    """An option that was typed with underscores."""
    name, equals, value = word.partition("=")
    return name.replace("_", "-") + equals + value if name.startswith("--") else word


def _element(hint: Any) -> tuple[Any, Any]:
    """The type of one value of an option, and how many it takes: None for one, "*", or a number."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        [hint] = [part for part in typing.get_args(hint) if part is not type(None)]
    if typing.get_origin(hint) is tuple:
        first, *others = typing.get_args(hint)
        return first, "*" if others == [...] else 1 + len(others)
    return hint, None


def _reader(element: Any) -> Callable[[str], Any]:
    """From the text of a value to the value."""

    def read(text: str) -> Any:
        if typing.get_origin(element) is Literal:
            choices = typing.get_args(element)
            if text in choices:
                return text
            close = difflib.get_close_matches(text, choices, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise argparse.ArgumentTypeError(f"must be one of {', '.join(choices)}; got {text!r}{hint}")
        try:
            return element(text)
        except ValueError:
            wanted = {int: "a whole number", float: "a number"}[element]
            raise argparse.ArgumentTypeError(f"must be {wanted}; got {text!r}") from None

    return read


def _metavar(element: Any) -> str:
    if typing.get_origin(element) is Literal:
        return "{" + ",".join(typing.get_args(element)) + "}"
    return _METAVARS[element]


def _typed(field: dataclasses.Field[Any], hint: Any) -> str:
    """An option as it is typed, such as `--hidden N ...`."""
    element, count = _element(hint)
    if element is bool:
        return f"--no-{_name(field)[2:]}" if field.default else _name(field)
    value = _metavar(element)
    value = f"{value} ..." if count == "*" else " ".join([value] * (count or 1))
    return value if field.metadata.get("positional") else f"{_name(field)} {value}"


def _help(kind: Any, prog: str, description: str, shown: Mapping[str, Any]) -> Iterator[str]:
    """The lines of `--help`: the group of the class itself first, then those of its bases, in the order of fields."""
    width = min(shutil.get_terminal_size().columns, 110)
    groups: dict[type, list[tuple[str, str]]] = {kind: []}
    classes: list[Any] = [cls for cls in kind.__mro__ if dataclasses.is_dataclass(cls)]
    texts = {cls: _texts(cls) for cls in reversed(classes)}
    positional = ""
    for field, hint in _options(kind):
        owner = next(cls for cls in texts if field.name in cls.__annotations__)
        text = texts[owner].get(field.name, "")
        value = shown.get(field.name, field.default)
        if value is dataclasses.MISSING and not field.metadata.get("positional"):
            text += " (required)"
        elif _element(hint)[0] is bool and field.default:
            text = f"Switch off: {text}"
        elif _element(hint)[0] is not bool and value not in (None, (), "", dataclasses.MISSING):
            text += f" (default:\0{_as_typed(value)})"
        if field.metadata.get("positional"):
            positional += f" {_typed(field, hint)}"
        groups.setdefault(owner, []).append((_typed(field, hint), text))
    groups = {owner: options for owner, options in groups.items() if options}
    yield f"usage: {prog}{positional} [OPTIONS]\n"
    for paragraph in description.strip().replace("python -m experiments.", "jaxnn ").split("\n\n"):
        yield (paragraph if paragraph.startswith("    ") else textwrap.fill(" ".join(paragraph.split()), width)) + "\n"
    for owner, options in groups.items():
        yield "Options:" if len(groups) == 1 else f"{(owner.__doc__ or '').splitlines()[0].rstrip('.')}:"
        for option, text in options:
            lines = textwrap.wrap(text, width - _COLUMN, break_on_hyphens=False) or [""]
            lines = [line.replace("\0", " ") for line in lines]
            if len(option) > _COLUMN - 4:
                yield f"  {option}"
            else:
                yield f"  {option:<{_COLUMN - 2}}{lines.pop(0)}"
            yield from (" " * _COLUMN + line for line in lines)
        yield ""
    yield "-h, --help                    Show this text."


def _as_typed(value: Any) -> str:
    if isinstance(value, tuple):
        return " ".join(map(_as_typed, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _texts(cls: type) -> dict[str, str]:
    """The strings below the fields of a class."""
    [tree] = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    assert isinstance(tree, ast.ClassDef)
    found = {}
    for field, text in zip(tree.body, tree.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            assert isinstance(field.target, ast.Name)
            found[field.target.id] = " ".join(str(text.value.value).split())
    return found
