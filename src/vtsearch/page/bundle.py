"""The page's files, and one HTML file made of them.

The browser loads the ES modules as they are. A file that is opened without a server cannot import others, so
`one_file` writes the modules behind each other: imports first, import lines and the word `export` removed. That needs
top-level names that are unique across modules; a repeated name is an error here, not a surprise in the browser.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from functools import cache
from html import escape
from importlib.resources import files

IMPORT = re.compile(r'^import\s*\{([^}]*)\}\s*from\s*"\./([\w.-]+\.js)";[ \t]*\n', re.MULTILINE)
EXPORT = re.compile(r"^export (?=(?:async function|function|const|let|class)\b)", re.MULTILINE)
TOP_LEVEL = re.compile(r"^(?:async function\*?|function\*?|const|let|class)\s+(\w+)", re.MULTILINE)
UNSUPPORTED = re.compile(r"^(?:import|export)\b.*", re.MULTILINE)
COMMENT = re.compile(r"^[ \t]*/\*\*.*?\*/", re.MULTILINE | re.DOTALL)
END_COMMENT = re.compile(r"(?<=[;,{})]) // .*$")
SUFFIXES = (".html", ".css", ".js", ".svg")

PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>{title}</title>
<link rel="icon" href="data:image/svg+xml;base64,{icon}">
<style>{style}</style>
</head>
<body>
<div id="app"></div>
<script type="application/json" id="data">{data}</script>
<script type="module">{script}</script>
</body>
</html>
"""


def names() -> list[str]:
    """Names of all files of the page, sorted."""
    return sorted(file.name for file in files(__package__).joinpath("assets").iterdir() if file.name.endswith(SUFFIXES))


@cache
def asset(name: str) -> bytes:
    """Content of one file of the page, modules without their comments.

    Raises:
        KeyError: a name that `names` does not list.
    """
    text = source(name)
    return (without_comments(text) if name.endswith(".js") else text).encode()


def modules(entry: str) -> list[str]:
    """Names of `entry` and of the modules it imports, each behind those it imports itself.

    Raises:
        ValueError: modules import each other in a circle.
    """
    order: list[str] = []
    visit(entry, (), order)
    return order


def visit(name: str, path: tuple[str, ...], order: list[str]) -> None:
    """Append `name` to `order`, behind the modules that it imports."""
    if name in path:
        raise ValueError(f"modules import each other in a circle: {' -> '.join([*path, name])}")
    if name in order:
        return
    for imported in IMPORT.finditer(source(name)):
        visit(imported[2], (*path, name), order)
    order.append(name)


def source(name: str) -> str:
    """Text of a file as it is written, with one newline at its end."""
    if name not in names():
        raise KeyError(name)
    return files(__package__).joinpath("assets", name).read_text("utf-8").rstrip() + "\n"


def without_comments(text: str) -> str:
    """A module without comments that begin or end a line, and without indentation: no string runs over lines there."""
    lines = (END_COMMENT.sub("", line).strip() for line in COMMENT.sub("", text).splitlines())
    return "".join(f"{line}\n" for line in lines if line and not line.startswith("//"))


def without_modules(name: str) -> str:
    """Text of a module without its imports and without the word `export`.

    Raises:
        ValueError: an import or export in a form that cannot be removed.
    """
    text = EXPORT.sub("", IMPORT.sub("", source(name)))
    other = UNSUPPORTED.search(text)
    if other:
        raise ValueError(f'{name}: write imports as `import {{a, b}} from "./x.js";`, exports at the name: {other[0]}')
    return text


def script(entry: str) -> str:
    """One script made of `entry` and all that it imports.

    Raises:
        ValueError: a name that two modules define, an import under another name, or text that would end the script.
    """
    owners: dict[str, str] = {}
    parts = []
    for module in modules(entry):
        if any(re.search(r"\bas\b", match[1]) for match in IMPORT.finditer(source(module))):
            raise ValueError(f"{module}: `import {{a as b}}` cannot be bundled")
        text = without_modules(module)
        for name in TOP_LEVEL.findall(text):
            if name in owners:
                raise ValueError(f"{module} and {owners[name]} both define {name}")
            owners[name] = module
        parts.append(f"// {module}\n{without_comments(text)}")
    joined = "\n" + "\n".join(parts)
    if re.search(r"</script|<!--", joined, re.IGNORECASE):
        raise ValueError(f"{entry}: `</script` and `<!--` cannot stand in a bundled module")
    return joined


def one_file(title: str, entry: str, data: object, styles: Sequence[str]) -> str:
    """HTML of a page that needs no other file: `entry` with its modules, `styles`, and `data` in `<script id="data">`.

    Equal arguments give equal bytes. The content policy allows this script and this style by their hashes, pictures
    as data URIs, and nothing from the network.
    """
    code = script(entry)
    style = "\n" + "\n".join(source(name) for name in styles)
    policy = (
        "default-src 'none'; img-src data: blob:; "
        f"script-src '{hashed(code)}'; style-src '{hashed(style)}'; base-uri 'none'; form-action 'none'"
    )
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return PAGE.format(
        policy=escape(policy),
        title=escape(title),
        icon=base64.b64encode(asset("favicon.svg")).decode(),
        style=style,
        data=text.replace("<", "\\u003c"),
        script=code,
    )


def hashed(text: str) -> str:
    """Source expression of a content policy that allows exactly this inline text."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
