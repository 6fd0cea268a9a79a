"""Map neurons to cores and cores to chips."""

from sdt_lava.hardware.core_map.activity import ASSUMED, Activity
from sdt_lava.hardware.core_map.build import count_cores, map_cores
from sdt_lava.hardware.core_map.core_counts import CoreCounts
from sdt_lava.hardware.core_map.core_map import ConnectionMap, Core, CoreMap, LayerMap, Slice
from sdt_lava.hardware.core_map.limits import RESOURCES
from sdt_lava.hardware.core_map.traffic import Traffic
from sdt_lava.support.lazy import lazy

__all__ = [
    "ASSUMED",
    "RESOURCES",
    "Activity",
    "ConnectionMap",
    "Core",
    "CoreCounts",
    "CoreMap",
    "LayerMap",
    "Slice",
    "Traffic",
    "count_cores",
    "map_cores",
]

__getattr__ = lazy(__name__)
