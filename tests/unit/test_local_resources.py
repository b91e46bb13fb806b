from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from components.local import machine_lifecycle, network_lifecycle
from components.local.computer import LocalError
from components.local.resources import MachineProvider, NetworkProvider


@pytest.mark.parametrize(
    ("provider", "lifecycle"), [(NetworkProvider(), network_lifecycle), (MachineProvider(), machine_lifecycle)]
)
def test_an_error_of_this_computer_is_a_failed_check_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch, provider: NetworkProvider | MachineProvider, lifecycle: ModuleType
):
    def refuse(_olds: dict[str, Any], _news: dict[str, Any]) -> dict[str, Any]:
        raise LocalError("This computer lacks nftables", "The rule", "sudo apt-get install nftables")

    monkeypatch.setattr(lifecycle, "check", refuse)
    result = provider.check({}, {"hostname": "web"})
    assert result.inputs == {"hostname": "web"}
    assert "sudo apt-get install nftables" in result.failures[0].reason
