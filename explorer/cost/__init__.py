"""What a design costs: parameters, FLOPs, memory, time, serving, plans, limits."""

from explorer.cost.kv_cache import kv_cache_bytes, kv_cache_bytes_per_token, serving_bytes
from explorer.cost.parameters import Parameters, parameters

__all__ = ["Parameters", "kv_cache_bytes", "kv_cache_bytes_per_token", "parameters", "serving_bytes"]
