"""Readers of a finished run folder: an offline HTML page, JUnit XML, a Markdown summary, and the last words on a
terminal.

A report never judges. Every verdict, interval and number on it was written to ``result.json`` by ``harness.check``;
what is not in the folder is shown as "no data" with the reason, never as zero. ``reports.render.render`` writes all
files from the folder alone.
"""
