# SPDX-License-Identifier: GPL-2.0-or-later
"""Queries the daemon for its sections and options, and for its verdict on a configuration."""

import pathlib
import re
import subprocess

# Rules have an order and many conditions: they need a page of their own, which does not exist yet.
NOT_IN_LUCI = {"rule"}


def uci_text(sections):
    lines = []
    for section in sections:
        name = "" if section.get(".anonymous") else f" '{section['.name']}'"
        lines.append(f"config {section['.type']}{name}")
        for option, value in section.items():
            if option.startswith("."):
                continue
            each = [("list", one) for one in value] if isinstance(value, list) else [("option", value)]
            lines += [f"\t{kind} {option} '{one}'" for kind, one in each]
    return "\n".join(lines) + "\n"


class Daemon:
    def __init__(self, binary, folder):
        self.binary = binary
        self.file = pathlib.Path(folder) / "wgsteer"

    def complaints(self, sections):
        """The configuration's errors as "line: text". Works without the privileges to read the kernel state."""
        self.file.write_text(uci_text(sections))
        said = subprocess.run([self.binary, "plan", "-c", self.file], capture_output=True, text=True, check=False)
        return re.findall(rf"{self.file}:(\d+: .*)", said.stderr)

    def only(self, section, pattern):
        """The pattern's group in the complaint that matches it."""
        for complaint in self.complaints([section]):
            if match := re.search(pattern, complaint):
                return match[1]
        return None

    def schema(self):
        sections = self.only({".type": "qqqqqqqqqq", ".name": "a"}, r"unknown section, known: (.*)").split(", ")
        return {type_: self.options(type_) for type_ in sections if type_ not in NOT_IN_LUCI}

    def options(self, type_):
        section = {".type": type_, ".name": "a", ".anonymous": True}
        names = self.only({**section, "qqqqqqqqqqqqqqq": "1"}, r"known: (.*)").split(", ")
        return {name: self.option(section, name) for name in names}

    def option(self, section, name):
        no_list = self.only({**section, name: ["1"]}, rf"{name}: (is a list)")
        boolean = self.only({**section, name: "!"}, rf"{name}: .*(neither true nor false)")
        choices = self.only({**section, name: "!"}, rf"{name}: '!' is unknown, allowed: (.*\|.*)")
        limits = self.only({**section, name: "999999999999"}, rf"{name}: .*allowed: ([\d.]+\.\.\d+)(?: seconds)?$")
        low, high = re.fullmatch(r"(\d+(?:\.\d+)?)\.\.(\d+)", limits).groups() if limits else (None, None)
        return {
            "list": no_list is None,
            "boolean": boolean is not None,
            "choices": choices.split(" | ") if choices else None,
            "low": low,
            "high": high,
        }
