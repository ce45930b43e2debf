"""How the answer looks: pure functions from a result to one HTML file, or to pictures."""

from explorer.report.chart import Chart
from explorer.report.comparison import compare
from explorer.report.fitting import fit_page
from explorer.report.page import charts, render
from explorer.report.pictures import save_charts
from explorer.report.validating import validation_page

__all__ = ["Chart", "charts", "compare", "fit_page", "render", "save_charts", "validation_page"]
