#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks that the sources respect their layers: `layers_test.py ROOT`.

The core consists of values and functions: it may only use the standard library, without I/O, clocks and errno. Every
other folder of src may only include headers of layers that its CMakeLists.txt links, directly or transitively: with
static libraries, the linker would not notice a violation. Each run first tests the rules on small faulty trees.
"""
import pathlib
import re
import sys
import tempfile

# Standard headers that do I/O, read the time, wait, or access the environment.
IMPURE = {"cerrno", "condition_variable", "cstdio", "csignal", "ctime", "filesystem", "fstream", "future",
          "iostream", "istream", "mutex", "ostream", "print", "random", "syncstream", "thread"}
# Clocks (<chrono> is allowed for durations) and errno, which other headers may provide.
IMPURE_USE = re.compile(r"::now\s*\(|_clock\b|\berrno\b|\bsystem_error\b|\bgetenv\b")
# Headers of include/wgsteer that belong to no layer: the seam is between two, and all layers use errors.
SHARED = {"wgsteer/kernel.hpp", "wgsteer/result.hpp"}
# Those of them that are plain values, so that core may use them.
VALUES = {"wgsteer/result.hpp"}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)
COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)


def layers(root):
    """Maps each folder to the folders whose libraries its CMakeLists.txt links."""
    links = {}
    for listing in sorted(root.glob("src/*/CMakeLists.txt")):
        text = re.sub(r"#[^\n]*", "", listing.read_text())
        used = set()
        for arguments in re.findall(r"\b(?:wgsteer_library|target_link_libraries)\s*\(([^)]*)\)", text):
            used |= set(re.findall(r"\bwgsteer_(\w+)", arguments))
        links[listing.parent.name] = used - {listing.parent.name, "options"}
    return links


def reach(links, layer):
    """The layer itself and all layers that it links, directly or transitively."""
    found, todo = set(), [layer]
    while todo:
        current = todo.pop()
        if current not in found:
            found.add(current)
            todo += links.get(current, ())
    return found


def sources(root, links):
    """Yields (layer, file) for every source; headers in include/wgsteer/X belong to X."""
    for layer in sorted(links):
        for folder in (root / "src" / layer, root / "include/wgsteer" / layer):
            for file in sorted(folder.rglob("*.[ch]pp")):
                yield layer, file
        header = root / "include/wgsteer" / (layer + ".hpp")
        if header.exists() and f"wgsteer/{layer}.hpp" not in SHARED:
            yield layer, header


def owner(root, links, file, header):
    """The layer to which a header belongs, or None if it is not one of ours."""
    beside = (file.parent / header).resolve()
    for path in (beside, root / "src" / header, root / "include" / header):
        if not path.exists():
            continue
        parts = path.resolve().relative_to(root).parts
        layer = parts[1] if parts[0] == "src" else parts[2].removesuffix(".hpp")
        if layer in links:
            return layer
    return None


def impurities(file, text):
    for bracket, header in INCLUDE.findall(text):
        if bracket == "<" and ("/" in header or "." in header or header in IMPURE):
            yield f"{file}: core may not include <{header}>"
        if bracket == '"' and header in SHARED - VALUES:
            yield f'{file}: core may not include "{header}"'
    for use in IMPURE_USE.findall(INCLUDE.sub("", text)):
        yield f"{file}: core may not use {use.strip('(').strip()}"


def check(root):
    """The violations in this tree, one line each."""
    root = root.resolve()
    links = layers(root)
    wrong = []
    if "core" not in links:
        wrong.append("there is no src/core/CMakeLists.txt")
    for other in sorted(links.get("core", ())):
        wrong.append(f"src/core/CMakeLists.txt: core links {other}")
    for layer, file in sources(root, links):
        text = COMMENT.sub(" ", file.read_text())
        shown = file.relative_to(root)
        if layer == "core":
            wrong += impurities(shown, text)
        for _, header in INCLUDE.findall(text):
            if header in SHARED:
                continue
            used = owner(root, links, file, header)
            if used is not None and used not in reach(links, layer):
                wrong.append(f"{shown}: includes {header}, but {layer} does not link {used}")
    return wrong


RIGHT = {
    "src/core/CMakeLists.txt": "wgsteer_library(core SOURCES a.cpp)  # not wgsteer_os",
    "src/core/a.cpp": '#include "wgsteer/core/a.hpp"\n#include <algorithm>\n// #include <cstdio>, errno\n',
    "include/wgsteer/core/a.hpp": "#include <string>\n",
    "include/wgsteer/kernel.hpp": '#include "wgsteer/core/a.hpp"\n',
    "src/engine/engine.hpp": '#include "wgsteer/kernel.hpp"\n',
    "src/os/CMakeLists.txt": "wgsteer_library(os SOURCES fd.cpp\n  USES wgsteer_core)",
    "src/os/fd.cpp": '#include "os/fd.hpp"\n#include <sys/epoll.h>\n',
    "src/os/fd.hpp": '#include "wgsteer/core/a.hpp"\n',
    "src/log/CMakeLists.txt": "wgsteer_library(log SOURCES log.cpp)\ntarget_link_libraries(wgsteer_log PRIVATE x::y)",
    "src/log/log.cpp": '#include "log.hpp"\n#include "wgsteer/result.hpp"\n',
    "src/log/log.hpp": "#include <string>\n",
    "src/engine/CMakeLists.txt": "wgsteer_library(engine SOURCES engine.cpp USES wgsteer_os)",
    "src/engine/engine.cpp": '#include "engine/engine.hpp"\n#include "os/fd.hpp"\n#include "wgsteer/core/a.hpp"\n',
    "src/cli/CMakeLists.txt": "add_executable(wgsteer main.cpp)\ntarget_link_libraries(wgsteer PRIVATE wgsteer_engine)",
    "src/cli/main.cpp": '#include "os/fd.hpp"\n#include "engine/engine.hpp"\n',
}

# (file, text added to it, expected message)
WRONG = [("src/core/a.cpp", f"#include <{header}>\n", f"may not include <{header}>")
         for header in ("linux/if.h", "sys/socket.h", "net/if.h", "netinet/in.h", "arpa/inet.h", "unistd.h", "errno.h",
                        "fstream", "cstdio", "cerrno", "ctime", "fmt/core.h", "spdlog/spdlog.h", "nlohmann/json.hpp",
                        "libmnl/libmnl.h", "libnftnl/rule.h")] + [
    ("src/core/a.cpp", "auto t = Clock::now();\n", "may not use ::now"),
    ("src/core/a.cpp", "int e = errno;\n", "may not use errno"),
    ("src/core/a.cpp", '#include "os/fd.hpp"\n', "core does not link os"),
    ("src/core/a.cpp", '#include "../os/fd.hpp"\n', "core does not link os"),
    ("src/core/a.cpp", '#include "wgsteer/kernel.hpp"\n', 'may not include "wgsteer/kernel.hpp"'),
    ("include/wgsteer/core/a.hpp", "#  include <sys/types.h>\n", "may not include <sys/types.h>"),
    ("include/wgsteer/core/a.hpp", '#include "engine/engine.hpp"\n', "core does not link engine"),
    ("src/core/CMakeLists.txt", "\ntarget_link_libraries(wgsteer_core PUBLIC wgsteer_log)", "core links log"),
    ("src/os/fd.cpp", '#include "log/log.hpp"\n', "os does not link log"),
    ("src/os/fd.cpp", "#include <log/log.hpp>\n", "os does not link log"),
    ("src/os/fd.cpp", '#include "engine/engine.hpp"\n', "os does not link engine"),
    ("src/log/log.hpp", '#include "wgsteer/core/a.hpp"\n', "log does not link core"),
    ("src/cli/main.cpp", '#include "log/log.hpp"\n', "cli does not link log"),
    ("src/engine/engine.hpp", '#include "log/log.hpp"\n', "engine does not link log"),
]


def findings(added):
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, text in RIGHT.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text + added.get(name, ""))
        return check(root)


def self_check():
    blind = [f"self-check: false alarm in a correct tree: {line}" for line in findings({})]
    for name, text, expected in WRONG:
        found = findings({name: text})
        if len(found) != 1 or name not in found[0] or expected not in found[0]:
            blind.append(f"self-check: {name} with {text.strip()!r}: expected '{expected}', found {found}")
    return blind


if __name__ == "__main__":
    problems = self_check() + check(pathlib.Path(sys.argv[1]))
    print("\n".join(problems) if problems else f"no violations; all {len(WRONG)} faulty trees were detected")
    sys.exit(1 if problems else 0)
