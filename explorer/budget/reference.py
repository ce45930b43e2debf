"""The context length of the arm that does not trade, where the budget names none."""

from __future__ import annotations

USUAL_REFERENCE = 2048
"""Chinchilla's window, and the context most models of its time were trained with."""


def usual_reference(baseline: str | None, shortest: int, longest: int) -> tuple[int, str]:
    """The baseline's own context length, else 2048, moved into the space; and a note where it was moved."""
    wanted, whose = USUAL_REFERENCE, "2,048"
    if baseline is not None:
        own = _own_context(baseline)
        if own is not None:
            wanted, whose = own, f"{baseline}'s own {own:,}"
    reference = min(max(wanted, shortest), longest)
    if reference == wanted:
        return reference, ""
    return (
        reference,
        f"trade.reference_context is {reference:,}: {whose} lies outside the space's context lengths",
    )


def _own_context(baseline: str) -> int | None:
    """The context length a model was pre-trained with; None where nobody has published it."""
    from explorer import catalog, formats

    if baseline in catalog.models():
        known = catalog.model(baseline).context_length_pretrain
        return None if known is None else int(known)
    return int(formats.read(baseline).context_length)
