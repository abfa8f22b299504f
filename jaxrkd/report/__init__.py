"""Pages, pictures and tables of what was measured."""

from jaxrkd.report.page import write_report

__all__ = ['write_report']
