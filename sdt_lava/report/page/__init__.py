"""Write the report of a run: a self-contained HTML page, JSON and CSV tables."""

from sdt_lava.report.page.collect import ReportOptions, collect_report
from sdt_lava.report.page.write import write_report

__all__ = ["ReportOptions", "collect_report", "write_report"]
