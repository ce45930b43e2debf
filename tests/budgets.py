"""A budget that is searched in a moment, for tests that are about something else."""

from __future__ import annotations

_SMALL = """\
name: {name}
budget: {{parameters: 3B, training: {{gpu_hours: 2k}}}}
hardware: {{accelerator: h100-sxm-80gb, gpus: 8}}
space:
  context_length: {{from: 2048, to: 16384, per_octave: 2, multiple_of: 256}}
  d_model: {{from: 1024, to: 3072, multiple_of: 512}}
  n_layers: {{from: 8, to: 32}}
training: {{plan: {{tensor_parallel: 1, pipeline_parallel: 1, context_parallel: 1}}}}
search: {{trials: {trials}, sampler: {sampler}}}
"""


def small(name: str = "small", trials: int = 8, sampler: str = "auto") -> str:
    """The text of a budget.yaml with 7 x 5 x 25 designs, some of them too large."""
    return _SMALL.format(name=name, trials=trials, sampler=sampler)
