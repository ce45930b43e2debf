"""Law files: complete, sourced, and refused with one line where they are not laws."""

import json

import numpy as np
import pytest

from explorer.catalog.laws import DEFAULT_LAW, catalogue_law, laws, priors, read_law
from explorer.errors import ExplorerError, UnknownName

RECORD = {
    "kind": "law",
    "name": "mine",
    "n_counts": "total",
    "constants": {"A": 400.0, "B": 2000.0, "E": 1.8, "alpha": 0.35, "beta": 0.37},
    "domain": {
        "n_params": [1e8, 1e10],
        "n_tokens": [1e9, 1e11],
        "tokens_per_param": [1, 100],
        "context_length": [512, 32768],
    },
}


def test_names():
    assert laws()[0] == DEFAULT_LAW == "besiroglu-2024"
    assert set(laws()) >= {"hoffmann-2022", "besiroglu-2024", "kaplan-2020", "explorer-2026"}
    with pytest.raises(UnknownName, match="kaplan-2020"):
        catalogue_law("kaplan")


@pytest.mark.parametrize("name", laws())
def test_every_law_is_sourced(name):
    law = catalogue_law(name)
    assert law.source
    assert law.domain_source
    assert law.deviations is not None or law.deviations_note
    assert law.n_counts == ("non_embedding" if name == "kaplan-2020" else "total")


def test_published_constants():
    besiroglu = catalogue_law("besiroglu-2024")
    assert besiroglu.constants == {
        "A": 482.01, "B": 2085.43, "E": 1.8172, "alpha": 0.3478, "beta": 0.3658, "power": 1.0,
    }  # fmt: skip
    kaplan = catalogue_law("kaplan-2020")
    assert pytest.approx((6.4e13) ** (0.076 / 0.103)) == kaplan.A
    assert kaplan.alpha == pytest.approx(0.076 / 0.103)


def test_our_rows_are_centred_on_our_fit():
    law = catalogue_law("explorer-2026")
    assert law.deviations.shape == (1000, 5)
    assert np.all(np.abs(np.median(law.deviations, axis=0)) < 0.3 * law.deviations.std(axis=0))
    shared = catalogue_law("besiroglu-2024")
    np.testing.assert_array_equal(shared.deviations, law.deviations)


def test_every_prior_has_unit_and_source():
    for group in priors().values():
        for name, record in group.items():
            assert record["source"], name
            assert record["unit"], name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "corpus"}, "kind must be 'law'"),
        ({"constants": None}, "constants must be a mapping"),
        ({"constants": RECORD["constants"] | {"alpha": "x"}}, "alpha must be a finite number"),
        ({"constants": RECORD["constants"] | {"alpha": -1.0}}, "alpha must be > 0"),
        ({"n_counts": "some"}, "total or non_embedding"),
        ({"domain": RECORD["domain"] | {"n_params": [2, 1]}}, "n_params must be"),
        ({"uncertainty": {"rows": [[1, 2]]}}, "finite rows"),
        ({"uncertainty": {"order": ["a"], "rows": [[1]]}}, "must begin with"),
    ],
)
def test_faulty_law_files(tmp_path, change, message):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(RECORD | change))
    with pytest.raises(ExplorerError, match=message) as error:
        read_law(path)
    assert "\n" not in str(error.value)


def test_a_law_file_that_is_not_there(tmp_path):
    with pytest.raises(ExplorerError, match="no such file"):
        read_law(tmp_path / "absent.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(ExplorerError, match="must be JSON"):
        read_law(tmp_path / "bad.json")
