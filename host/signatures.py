"""The arguments of Python functions, by their source."""

from __future__ import annotations

import ast


def required_arguments(function: ast.FunctionDef) -> list[str]:
    """The names of the arguments that a call of the function must give."""
    arguments = function.args
    positional = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args)]
    named = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    without_default = [argument.arg for argument, default in named if default is None]
    return positional[: len(positional) - len(arguments.defaults)] + without_default
