"""Run alone, in a bare process: imports modules of ours and prints what their import did to the world, one act a line.

Arguments: the folder that holds the packages, then module names. Third parties that these modules import are loaded
first, so that only acts of our own modules are seen. Libraries for training and tests are refused, so that what runs
here also runs from requirements.lock. Standard library only.
"""

from __future__ import annotations

import ast
import gc
import importlib
import importlib.util
import os
import sys
import threading
from importlib.machinery import ModuleSpec
from pathlib import Path

DEVELOPMENT_ONLY = frozenset(
    (
        *("numpy", "scipy", "sklearn", "pandas", "pyarrow", "pytest", "hypothesis", "schemathesis", "playwright"),
        *("mypy", "ruff", "requests", "requests_oauth2client", "tests", "deploy"),
    )
)
WORLD = (
    "socket.", "subprocess.Popen", "os.system", "os.exec", "os.fork", "os.posix_spawn", "sqlite3.connect",
    "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.truncate", "shutil.", "tempfile.", "urllib.Request",
)  # fmt: skip
LIVE = frozenset(
    (
        *("Engine", "AsyncEngine", "Redis", "Client", "AsyncClient", "ClientSession", "FastAPI", "Starlette"),
        *("ThreadPoolExecutor", "ProcessPoolExecutor"),
    )
)
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class RefuseDevelopmentOnly:
    """An import hook that knows nothing but no."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if name.partition(".")[0] in DEVELOPMENT_ONLY:
            raise ImportError(f"{name} is not part of the runtime")
        return None


def third_parties(root: Path, names: list[str]) -> set[str]:
    """Every module that ours import at their top level and that is not ours."""
    ours = {name.split(".")[0] for name in names}
    found: set[str] = set()
    for name in names:
        spec = importlib.util.find_spec(name) if "." not in name else None
        path = Path(spec.origin) if spec and spec.origin else root.joinpath(*name.split("."))
        path = path if path.suffix == ".py" else (path / "__init__.py" if path.is_dir() else path.with_suffix(".py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name for name in found if name.split(".")[0] not in ours | DEVELOPMENT_ONLY}


def load_third_parties(names: set[str]) -> None:
    for name in sorted(names):
        try:
            importlib.import_module(name)
        except ImportError:
            continue  # `from x import y` where y is no module, or one that ours import lazily


def live() -> list[object]:
    """Engines, clients, pools and applications that exist now."""
    return [one for one in gc.get_objects() if type(one).__name__ in LIVE]


def main() -> int:
    root, names = Path(sys.argv[1]).resolve(), sys.argv[2:]
    sys.path.insert(0, str(root))
    sys.meta_path.insert(0, RefuseDevelopmentOnly())  # type: ignore[arg-type]
    load_third_parties(third_parties(root, names))
    acts: list[str] = []
    current = ""

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if not current:
            return
        if event == "open":
            path, mode, flags = str(arguments[0]), arguments[1], arguments[2]
            writes = any(c in str(mode or "") for c in "wax+") or bool(isinstance(flags, int) and flags & WRITING)
            mine = path.startswith(str(root)) and not path.endswith((".py", ".pyc", ".so"))
            if writes or mine:
                acts.append(f"{current}: opens {path}")
        elif event.startswith(WORLD):
            acts.append(f"{current}: {event}")

    before = {id(one) for one in live()}
    sys.addaudithook(hook)
    for name in names:
        current = name
        try:
            importlib.import_module(name)
        except ImportError as problem:
            acts.append(f"{name}: {problem}")
        current = ""
    acts += [f"some module makes a {type(one).__name__}" for one in live() if id(one) not in before]
    if threading.active_count() > 1:
        acts.append("a thread was started")
    print("\n".join(acts))
    return 1 if acts else 0


if __name__ == "__main__":
    sys.exit(main())
