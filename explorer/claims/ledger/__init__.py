"""The ledger: every statement of the idea, taken apart on the cost functions and the loss law.

1 to 3 and 8 to 10 need no law: they are counts. 4 to 7 and 11 are judged by a law, with its posterior.
No search is made; what a budget's own limits do to the idea is `claims.trade`'s question.
"""

from __future__ import annotations

import json
import pickle
from functools import cache
from hashlib import sha256

from explorer import quality
from explorer.claims.records import Claim
from explorer.kept import digest_of_package, kept


def ledger(law: str = "besiroglu-2024", n_draws: int = 200, seed: int = 0) -> list[Claim]:
    """All eleven claims, in their order. `n_draws` = 0 leaves the intervals out.

    They are the same for every budget, so those of a law are kept among the user's cached files.
    """
    return list(_ledger(law, n_draws, seed))


@cache
def _ledger(law_name: str, n_draws: int, seed: int) -> tuple[Claim, ...]:
    law = quality.law(law_name)
    digest = sha256(pickle.dumps((digest_of_package(), law, n_draws, seed)))

    def made() -> str:
        from explorer.claims.ledger.every import every

        return json.dumps([claim.to_dict() for claim in every(law, n_draws, seed)], allow_nan=False)

    def read(text: str) -> tuple[Claim, ...]:
        return tuple(Claim.from_dict(claim) for claim in json.loads(text))

    return kept(f"ledger/{digest.hexdigest()[:24]}.json", made, read)
