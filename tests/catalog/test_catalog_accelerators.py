"""The catalogue of accelerators: published figures, and what a device of one's own must state."""

import pytest

from explorer.catalog import accelerator, accelerator_from, accelerators
from explorer.catalog.accelerators import efficiency, generations, read_accelerator
from explorer.errors import InputErrors, UnknownName, Unsupported
from explorer.units import GIB

OWN = {
    "name": "mine", "vendor": "me", "generation": "scaled", "memory_bytes": 48 * GIB,
    "peak_flops": {"bf16": 2e14}, "hbm_bandwidth": 1e12, "link_bandwidth": 3e10, "gpus_per_node": 4,
    "network_bandwidth": 1e10, "host_bandwidth": 3e10, "n_units": 100, "source": "my bench",
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "dtype", "tflops", "bandwidth", "tdp"),
    [
        ("v100-sxm-32gb", "fp16", 125, 900, 300),
        ("a100-sxm-80gb", "bf16", 312, 2039, 400),
        ("h100-sxm-80gb", "bf16", 989.4, 3350, 700),
        ("h100-pcie-80gb", "bf16", 756, 2039, 350),
        ("rtx-4090", "bf16", 165.2, 1008, 450),
        ("mi300x", "bf16", 1307.4, 5300, 750),
        ("tpu-v5p", "bf16", 459, 2765, None),
    ],
)
def test_figures_are_those_of_the_data_sheet(name, dtype, tflops, bandwidth, tdp):
    device = accelerator(name)
    assert device.peak(dtype) == pytest.approx(tflops * 1e12)
    assert device.hbm_bandwidth == pytest.approx(bandwidth * 1e9)
    assert device.tdp_watts == tdp


def test_every_figure_has_its_source():
    figures = {
        "memory_bytes", "peak_flops", "hbm_bandwidth", "link_bandwidth", "network_bandwidth",
        "host_bandwidth", "tdp_watts", "n_units",
    }  # fmt: skip
    for device in accelerators().values():
        assert figures <= set(device.source), device.name
        assert all(device.source[name].strip() for name in figures), device.name


def test_every_curve_says_what_it_was_fitted_on_and_stays_a_share():
    for device in accelerators().values():
        curve = device.efficiency
        assert curve.fitted_on.startswith(("fitted on", "not fitted")), device.name
        for share in (curve.matmul_share, curve.fp8_share, curve.sustained_clock, curve.bandwidth_share):
            assert 0 < share < 1, device.name


def test_an_80_gib_card_reports_less():
    assert accelerator("h100-sxm-80gb").memory_bytes / GIB == pytest.approx(79.6, abs=0.1)


def test_the_list_is_complete():
    wanted = (
        "v100",
        "a100-sxm-40",
        "a100-sxm-80",
        "h100-sxm",
        "h100-pcie",
        "h200",
        "b200",
        "gh200",
        "mi250x",
    )
    wanted += (
        "mi300x",
        "l40s",
        "a10",
        "rtx-3090",
        "rtx-4090",
        "rtx-5090",
        "tpu-v4",
        "tpu-v5e",
        "tpu-v5p",
        "tpu-v6e",
    )
    for start in wanted:
        assert any(name.startswith(start) for name in accelerators()), start


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(UnknownName, match="h100-sxm-80gb"):
        accelerator("h100-sxm-80")


def test_a_dtype_without_a_peak_raises():
    with pytest.raises(Unsupported, match="v100-sxm-32gb has no bf16 peak"):
        accelerator("v100-sxm-32gb").peak("bf16")


def test_a_device_of_ones_own_from_yaml(tmp_path):
    path = tmp_path / "mine.yaml"
    lines = [f"{key}: {value}" for key, value in OWN.items() if key != "peak_flops"]
    path.write_text("\n".join([*lines, "peak_flops: {bf16: 2.0e+14}"]))
    device = accelerator(str(path))
    assert device.name == "mine"
    assert device.tdp_watts is None
    assert device.efficiency.fitted_on.startswith("not fitted")


def test_a_device_outside_the_fit_says_that_it_is_scaled():
    assert "scaled" not in accelerator("a100-sxm-80gb").fitted_on
    for name in ("rtx-3090", "a10", "gh200-96gb", "rtx-5090", "l40s", "mi300x"):
        assert "scaled" in accelerator(name).fitted_on, name
    own = accelerator_from({**OWN, "generation": "hopper"})
    assert "no run of this device" in own.fitted_on
    named = {device for curve in generations() for device in efficiency(curve).devices}
    assert named <= set(accelerators())


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [("name", 3, "a text"), ("vendor", "", "a text"), ("n_units", 100.5, "a whole number")],
)
def test_names_are_text_and_counts_whole(key, value, wanted):
    with pytest.raises(InputErrors, match=f"{key}: {wanted}"):
        accelerator_from({**OWN, key: value})


def test_every_mistake_is_told_at_once():
    row = {
        **OWN,
        "hbm_bandwidth": -1,
        "memory_bytes": 48,
        "peak_flops": {"bf17": 1.0},
        "generation": "amper",
        "x": 1,
    }
    del row["n_units"]
    with pytest.raises(InputErrors) as caught:
        accelerator_from(row)
    text = str(caught.value)
    for part in (
        "hbm_bandwidth",
        "memory_bytes",
        "bf17",
        "did you mean ampere",
        "unknown field 'x'",
        "n_units is required",
    ):
        assert part in text
    assert len(caught.value.lines) == 6


def test_a_file_that_is_no_mapping_is_one_line(tmp_path):
    path = tmp_path / "list.json"
    path.write_text("[1]")
    with pytest.raises(InputErrors, match="a mapping of accelerator fields"):
        read_accelerator(path)
