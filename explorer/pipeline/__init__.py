"""What the commands do, each from its input to its files: run, work, redraw, compare, export."""

from explorer.pipeline.compare import compare
from explorer.pipeline.export import export
from explorer.pipeline.folder import redraw, run_in
from explorer.pipeline.options import Options
from explorer.pipeline.study import run, work

__all__ = ["Options", "compare", "export", "redraw", "run", "run_in", "work"]
