"""Settings of the whole suite."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

from tests.servers import fragile_postgres, postgres, redis

__all__ = ["fragile_postgres", "postgres", "redis"]  # fixtures

# No deadline: the first example of a test may compile a kernel.
settings.register_profile(
    "gate", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "thorough", settings.get_profile("gate"), derandomize=False, max_examples=2000
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "gate"))
