"""The remedy that a refusal names."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from sdt_lava.errors import SdtLavaError


def refusal(refuses: Callable[[], Any], said: str) -> str:
    """Return the remedy of an error."""
    with pytest.raises(SdtLavaError) as caught:
        refuses()
    assert re.search(said, caught.value.remedy), caught.value.remedy or str(caught.value)
    return caught.value.remedy
