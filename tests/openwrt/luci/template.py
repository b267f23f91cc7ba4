#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The translation template of luci-app-wgsteer, from its sources: template.py > po/templates/wgsteer.pot"""

import json
import pathlib
import re
import sys

APP = pathlib.Path(__file__).resolve().parents[3] / "openwrt/luci-app-wgsteer"
TEMPLATE = APP / "po/templates/wgsteer.pot"

STRING = r"'((?:[^'\\\n]|\\.)*)'"
SINGLE = re.compile(r"(?<![\w$])_\(\s*" + STRING + r"\s*\)")
PLURAL = re.compile(r"(?<![\w$])N_\([^,]+,\s*" + STRING + r",\s*" + STRING + r"\s*\)")


def plain(text):
    return re.sub(r"\\(.)", r"\1", text)


def calls(source):
    """The number of calls of _() and N_(), including those that messages() cannot read: text built at run time."""
    return len(re.findall(r"(?<![\w$])N?_\(", source))


def messages():
    """(text, plural or None) -> files, in source order."""
    found = {}
    for path in sorted((APP / "htdocs").rglob("*.js")):
        source = path.read_text()
        read = [(match.start(), plain(match[1]), None) for match in SINGLE.finditer(source)]
        read += [(match.start(), plain(match[1]), plain(match[2])) for match in PLURAL.finditer(source)]
        if len(read) != calls(source):
            sys.exit(f"{path.name}: {calls(source) - len(read)} texts are not plain strings")
        for _, text, plural in sorted(read):
            found.setdefault((text, plural), []).append(path.relative_to(APP))
    # Like LuCI's own scanner.
    for path, key in ((next(APP.rglob("menu.d/*.json")), "title"), (next(APP.rglob("acl.d/*.json")), "description")):
        for entry in json.loads(path.read_text()).values():
            found.setdefault((entry[key], None), []).append(path.relative_to(APP))
    return found


def quoted(text):
    return json.dumps(text, ensure_ascii=False)


def template():
    parts = ['msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8"\n']
    for (text, plural), files in messages().items():
        lines = [f"#: {file}" for file in dict.fromkeys(files)] + [f"msgid {quoted(text)}"]
        lines += ['msgstr ""'] if plural is None else [f"msgid_plural {quoted(plural)}", 'msgstr[0] ""', 'msgstr[1] ""']
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    sys.stdout.write(template())
