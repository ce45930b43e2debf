"""Which lever moves which objective over the whole study."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    from optuna.study import StudyDirection
    from optuna.trial import FrozenTrial

    from explorer.search.study import Search


def importance(search: Search) -> pd.DataFrame:
    """PED-ANOVA importance of every lever for every objective over the study's trials (shares of 1).

    Watanabe et al. 2023, arXiv:2304.10255. Empty where the trials are too few to say.
    """
    import pandas as pd
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    names, directions = search.study.metric_names or [], search.study.directions
    rows: list[tuple[str, str, float]] = []
    for k, objective in enumerate(names):
        with warnings.catch_warnings():
            # It warns that low targets count as good, which is what they are made to be.
            warnings.simplefilter("ignore", UserWarning)
            try:
                shares = get_param_importances(
                    search.study,
                    evaluator=PedAnovaImportanceEvaluator(),
                    target=_lower_is_better(k, directions[k]),
                )
            except (RuntimeError, ValueError):
                continue
        rows += [(lever, objective, float(share)) for lever, share in shares.items()]
    return pd.DataFrame(rows, columns=["lever", "objective", "importance"])


def _lower_is_better(k: int, direction: StudyDirection) -> Callable[[FrozenTrial], float]:
    sign = -1.0 if direction.name == "MAXIMIZE" else 1.0
    return lambda trial: sign * float(trial.values[k])  # noqa: PD011
