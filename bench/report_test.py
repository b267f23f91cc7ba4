#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The report of rows that are made up: `report_test.py WGSTEER_BENCH`. Needs neither root nor a calm machine."""
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

SVG = "{http://www.w3.org/2000/svg}"
REPORT, REACTION, FAILOVER = "benchmarks.md", "benchmarks-reaction.svg", "benchmarks-failover.svg"
OCCASION = {"date": "2026-01-31", "processor": "A <fast> & \"cheap\" CPU", "cpus": 2, "kernel": "6.12.1", "machine": "x86_64"}


def row(benchmark, value, control=None, target=1.0, aa=None, note="", unit="us"):
    return {"benchmark": benchmark, "unit": unit, "value": value, "control": control,
            "ratio": None if control is None else value / control, "target": target, "aa": aa, "note": note}


ROWS = [
    row("route deleted, libmnl, p50", 60.0, 30.0, 1.15, 1.01),
    row("route deleted, libnl nl_cache_mngr", 61.0, 95.0, 0.75, 1.02),
    row("route deleted, ip monitor + ip route", 62.0, 2100.0, 0.1, 0.99),
    row("route deleted, ip monitor + nft -f", 63.0, 3600.0, 0.06, 1.2),
    row("failover gap, link down", 94.0, 93.0, 1.05, 1.0, "outages of more than 12 ms: 1 | 0 <0>"),
    row("failover gap, link down, ip monitor + ip route", 94.5, 2109.0, 0.1, 1.0),
    row("failover, packets leaked to the tunnel", 0, None, 0, unit="packets"),
    row("private_memory | with *signs*", 1600, None, 1536, unit="KiB"),
]


class Report(unittest.TestCase):
    def setUp(self):
        kept = tempfile.TemporaryDirectory()
        self.addCleanup(kept.cleanup)
        self.folder = pathlib.Path(kept.name)

    def run_bench(self, rows=None, whole=True, more=()):
        source = self.folder / "bench.json"
        source.write_text(json.dumps({**OCCASION, "quick": not whole, "whole": whole, "rows": ROWS if rows is None else rows}))
        return subprocess.run([sys.argv[1], "--from", source, "--report", self.folder, *more], capture_output=True, text=True)

    def written(self, rows=None):
        done = self.run_bench(rows)
        self.assertEqual(done.returncode, 0, done.stderr)
        return (self.folder / REPORT).read_text()

    def table(self, text):
        lines = [line for line in text.splitlines() if line.startswith("| ")]
        cells = [[cell.strip() for cell in line.replace("\\|", "\0").strip("|").split("|")] for line in lines]
        self.assertEqual(cells[0], ["benchmark", "value", "control", "ratio", "A/A", "target", "verdict"])
        return cells[1:]

    def texts(self, name):
        """Parsed, so that it is XML; the texts that are seen."""
        tree = xml.etree.ElementTree.parse(self.folder / name)
        self.assertEqual(tree.getroot().tag, SVG + "svg")
        return [each.text for each in tree.iter(SVG + "text")]

    def lengths(self, name):
        bars = [each for each in xml.etree.ElementTree.parse(self.folder / name).iter(SVG + "rect")
                if each.get("class") != "ground"]
        return [float(each.get("width")) for each in bars]

    def test_every_row_is_in_the_table_with_its_verdict(self):
        cells = self.table(self.written())
        self.assertEqual(len(cells), len(ROWS))
        for cell in cells:
            self.assertEqual(len(cell), 7, cell)
        verdicts = [cell[-1] for cell in cells]
        self.assertEqual(verdicts, ["**missed**", "met", "met", "not judged", "met", "met", "met", "**missed**"])
        self.assertEqual(cells[0], ["route deleted, libmnl, p50", "60 µs", "30 µs", "2", "1.01", "≤ 1.15", "**missed**"])
        self.assertEqual(cells[6], ["failover, packets leaked to the tunnel", "0 packets", "-", "-", "-", "≤ 0 packets", "met"])
        self.assertEqual(cells[7][:2], ["private\\_memory \0 with \\*signs\\*", "1600 KiB"])

    def test_says_when_and_where_and_how_many_were_met(self):
        text = self.written()
        self.assertIn("2026-01-31", text)
        self.assertIn("A &lt;fast> &amp; \"cheap\" CPU, 2 CPUs, Linux 6.12.1 (x86\\_64)", text)
        self.assertIn("8 rows: 5 targets met, 2 missed, 1 not judged", text)
        self.assertIn("- [1] outages of more than 12 ms: 1 \\| 0 &lt;0>", text)
        for chart in (REACTION, FAILOVER):
            self.assertIn(f"]({chart})", text)

    def test_charts_are_xml_with_a_bar_for_each_value(self):
        self.written()
        reaction = self.texts(REACTION)
        for text in ("wgsteer", "60 µs", "30 µs", "95 µs", "2.1 ms", "3.6 ms (not judged)"):
            self.assertIn(text, reaction)
        self.assertTrue(any('A <fast> & "cheap" CPU' in text for text in reaction))
        failover = self.texts(FAILOVER)
        for text in ("wgsteer", "94 µs", "93 µs", "2.1 ms", "mwan3, link down ¹", "≥ 150 ms", "50 s"):
            self.assertIn(text, failover)
        self.assertEqual(len(self.lengths(FAILOVER)), 5)

    def test_a_longer_time_has_a_longer_bar(self):
        self.written()
        ours, raw, libnl, shell, nft = self.lengths(REACTION)
        self.assertTrue(0 < raw < ours < libnl < shell < nft)

    def test_what_was_not_measured_has_no_bar(self):
        self.written(ROWS[-1:])
        for chart in (REACTION, FAILOVER):
            self.assertEqual(self.lengths(chart), [])
            self.assertIn("Not measured.", self.texts(chart))

    def test_a_part_of_the_rows_is_no_report(self):
        done = self.run_bench(whole=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("not the result of a whole run", done.stderr)
        for more in (["--quick"], ["--only", "dns"]):
            self.assertEqual(self.run_bench(more=more).returncode, 64)
        self.assertFalse((self.folder / REPORT).exists())


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
