#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""luci_test.py WGSTEER [FOLDER]: tests the views in a headless browser, on a page that imitates LuCI. With FOLDER, also
saves screenshots of both pages there."""

import html
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import cases
import schema
import template

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
APP = template.APP
VIEWS = APP / "htdocs/luci-static/resources"
SECONDS = 90

failures = []


def check(what, right, seen=""):
    if not right:
        failures.append(f"{what} {seen}".strip())


def skip(why):
    print(f"skipped: {why}")
    sys.exit(1 if os.environ.get("CI") == "true" else 77)


def script(text):
    return "<script>" + text.replace("</", "<\\/") + "</script>"


def page(given, tests, afterwards):
    sources = {".".join(path.relative_to(VIEWS).with_suffix("").parts): path.read_text() for path in VIEWS.rglob("*.js")}
    read = [(HERE / name).read_text() for name in ["imitation.js", "imitation_form.js", "page.js", *tests]]
    return "\n".join([
        '<!DOCTYPE html><html><head><meta charset="utf-8"><style>', (HERE / "theme.css").read_text(), "</style></head><body>",
        '<div id="view"></div><div id="dialogue" hidden></div>',
        script(f"const given = {json.dumps(given)}; const sources = {json.dumps(sources)};"),
        *map(script, read), script(afterwards), "</body></html>",
    ])


def browser():
    found = next((path for path in map(shutil.which, ["chromium", "chromium-browser", "google-chrome"]) if path), None)
    return found or skip("no chromium")


def browse(folder, document, *options):
    file = pathlib.Path(folder) / "page.html"
    file.write_text(document)
    command = [browser(), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
               "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage", "--disable-extensions",
               f"--user-data-dir={folder}/profile", "--virtual-time-budget=30000", *options, file.as_uri()]
    environment = {**os.environ, "HOME": str(folder), "TZ": "UTC"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False, env=environment)
    return done.stdout, done.stderr


def run_views(folder, given):
    document = page(given, ["status_tests.js", "config_tests.js"], "run();")
    output, errors = browse(folder, document, "--dump-dom")
    found = re.search(r'<body data-results="([^"]*)"', output)
    if not found:
        check("the page did not finish:", False, errors[-2000:] + output[-500:])
        return
    results = json.loads(html.unescape(found[1]))
    for result in results["results"]:
        print("  ok " if result["error"] is None else "  FAILED ", result["name"])
        check(result["name"] + ":", result["error"] is None, result["error"])
    texts = {text for message in template.messages() for text in message}
    for text in results["translated"]:
        check("shown, but not in the template:", text in texts, text)


def check_template():
    check(f"{template.TEMPLATE.name} is outdated: run {template.__doc__.split(': ')[1]}",
          template.TEMPLATE.read_text() == template.template())


def check_rights():
    """Every view in the menu exists and has the rights that it needs."""
    menu = json.loads(next(APP.rglob("menu.d/*.json")).read_text())
    rights = json.loads(next(APP.rglob("acl.d/*.json")).read_text())
    for entry in menu.values():
        action = entry["action"]
        check("no such view:", action["type"] != "view" or (VIEWS / "view" / (action["path"] + ".js")).is_file(), action)
        for name in entry.get("depends", {}).get("acl", []):
            check("unknown ACL:", name in rights, name)
    read = rights["luci-app-wgsteer"]["read"]
    for path in VIEWS.rglob("*.js"):
        for called, method in re.findall(r"object: '([^']+)',\s*method: '([^']+)'", path.read_text()):
            check(f"{path.name} has no right to call", method in read["ubus"].get(called, []), f"{called} {method}")
    check("access to other configurations", read["uci"] == rights["luci-app-wgsteer"]["write"]["uci"] == ["wgsteer"])
    check("no other right to write", list(rights["luci-app-wgsteer"]["write"]) == ["uci"])


def check_package():
    version = re.compile(r"^PKG_VERSION:=(.*)$", re.M)
    versions = {version.search((ROOT / f"openwrt/{name}/Makefile").read_text())[1] for name in ("wgsteer", "luci-app-wgsteer")}
    check("both packages have the same version:", len(versions) == 1, versions)


def check_example(known):
    """The packaged configuration mentions every option in a section of its type, except `name` (the section's name)."""
    example = (ROOT / "openwrt/wgsteer/files/wgsteer.config").read_text()
    parts = re.split(r"^#?config (\w+)", example, flags=re.M)[1:]
    there = {(type_, option) for type_, text in zip(parts[::2], parts[1::2])
             for option in re.findall(r"(?:option|list) (\w+) ", text)}  # fmt: skip
    for type_, options in known.items():
        for name in options:
            check("not in the example configuration:", name == "name" or (type_, name) in there, f"{type_} {name}")


def keys_of(value):
    if isinstance(value, list):
        return set().union(*map(keys_of, value))
    if isinstance(value, dict):
        return set(value).union(*map(keys_of, value.values()))
    return set()


def check_samples(samples):
    """The samples were recorded from a daemon; they must not contain names that have changed since."""
    written = "".join(file.read_text() for file in (ROOT / "src/daemon").glob("status*.cpp"))
    for sample in samples:
        for key in keys_of([sample["wans"], sample["policies"], sample["tunnels"]]) - {"ipv4", "ipv6"}:
            check("not in the daemon's status any more:", f'"{key}"' in written, key)


def given_by(daemon):
    known = daemon.schema()
    up, down = (json.loads((HERE / f"status_{name}.json").read_text()) for name in ("up", "down"))
    check_samples([up, down])
    check_example(known)
    return {
        "schema": known,
        "flags": [name for options in known.values() for name, option in options.items() if option["boolean"]],
        "verdicts": cases.verdicts(daemon, known),
        "base": cases.BASE,
        "rich": cases.RICH,
        "up": up,
        "down": down,
    }


def take_pictures(folder, given, to):
    steps = {
        "status": "statusPage(given.down)",
        "config": "configPage(given.rich)",
        "wan": "configPage(given.rich).then(map => editorOf(map, 'wan', 'fiber')).then(() => document.getElementById('view').remove())",
    }
    for name, step in steps.items():
        document = page(given, ["status_tests.js", "config_tests.js"], step + ";")
        browse(folder, document, f"--screenshot={to}/{name}.png", "--window-size=1150,%d" % (700 if name == "status" else 1600))


def main(binary, pictures=None):
    check_template()
    check_rights()
    check_package()
    with tempfile.TemporaryDirectory(prefix="wgsteer-luci-", ignore_cleanup_errors=True) as folder:
        given = given_by(schema.Daemon(binary, folder))
        accepted = sum(each["accepted"] for each in given["verdicts"])
        print(f"{len(given['verdicts'])} configurations, of which the daemon accepts {accepted}")
        run_views(folder, given)
        if pictures:
            take_pictures(folder, given, pathlib.Path(pictures).resolve())
    for failure in failures:
        print("FAILED:", failure)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
