"""The code's own text, for tests that hold it to a rule."""

import ast
import gc
from pathlib import Path


def tree(path: Path) -> ast.Module:
    """What the file says.

    Before 3.11.8 Python fails where a collection amid parsing ends something whose traceback is printed, since that
    parses as well: https://github.com/python/cpython/issues/106905.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        return ast.parse(path.read_bytes(), str(path))
    finally:
        if enabled:
            gc.enable()
