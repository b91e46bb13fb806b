from __future__ import annotations

import pytest

from components import naming


def test_a_name_that_fits_is_not_changed():
    assert naming.label("dev-balancer", 32) == "dev-balancer"


@pytest.mark.parametrize("limit", [32, 63])
@pytest.mark.parametrize(
    "name", ["x" * 100, "Production_Europe.and-everything-else-balancer", "a" * 16 + "-" * 20, "_", "dev-balancer"]
)
def test_every_name_fits_together_with_pulumis_suffix(name: str, limit: int):
    label = naming.label(name, limit)
    assert len(f"{label}-0a1b2c3") <= limit
    assert label.strip("-") == label
    assert label and set(label) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


def test_different_names_get_different_labels():
    names = ["prod", "Prod", "prod.", "prod_", "x" * 40 + "a", "x" * 40 + "b"]
    assert len({naming.label(name, 32) for name in names}) == len(names)


@pytest.mark.parametrize("name", ["internal", "internal-balancer", "Internal.eu", "internal-" + "x" * 40])
def test_no_label_starts_with_a_prefix_that_the_cloud_reserves(name: str):
    label = naming.label(name, 32, ("internal-", "sg-"))
    assert label.startswith("gantry-internal-")
    assert len(f"{label}-0a1b2c3") <= 32


def test_a_name_that_only_resembles_a_reserved_prefix_is_not_changed():
    for name in ("internals-balancer", "prod-internal-balancer"):
        assert naming.label(name, 40, ("internal-",)) == name
