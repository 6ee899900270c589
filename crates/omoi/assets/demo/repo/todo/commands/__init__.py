"""One module per command.

A command has a ``NAME``, a line of ``HELP``, ``configure(parser)`` for its arguments and
``run(args, context)``. Whatever stands in this folder is a command; nothing has to be registered.
"""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType


def every() -> list[ModuleType]:
    """All commands, by name."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return [importlib.import_module(f"{__name__}.{name}") for name in names]
