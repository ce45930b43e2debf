"""The baseline of a budget as a row beside the front: its own shape and context, under the same limits."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from explorer.evidence.domain import outside
from explorer.files import plain
from explorer.search.rows import rows_of

if TYPE_CHECKING:
    from explorer.claims.setting import Setting
    from explorer.search.problem import Problem


def baseline(problem: Problem, setting: Setting) -> dict[str, Any] | None:
    """A row as the front's, with `name`, `outside` and `same_vocabulary`; None where no baseline is named."""
    shape = setting.baseline_shape
    if shape is None:
        return None
    import pandas as pd

    numbers = {f.name: getattr(shape, f.name) for f in fields(shape)}
    found = problem.evaluate(
        shape.with_(
            **{
                k: np.array([float(v)])
                for k, v in numbers.items()
                if isinstance(v, int | float) and not isinstance(v, bool)
            }
        ),
    )
    frame = pd.DataFrame(rows_of(problem, found))
    row: dict[str, Any] = plain(frame.iloc[0].to_dict())
    vocabularies = problem.lattice.vocab_size
    return row | {
        "name": setting.baseline_name,
        "outside": list(outside(problem, frame)[0]),
        "same_vocabulary": bool(np.all(vocabularies == float(np.asarray(shape.vocab_size)))),
    }
