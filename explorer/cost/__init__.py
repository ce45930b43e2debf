"""What a design costs: parameters, FLOPs, memory, time, serving, plans, limits."""

from explorer.cost.activations import Ledger, ledger
from explorer.cost.flops import Flops, flops, keys_per_query
from explorer.cost.kv_cache import kv_cache_bytes, kv_cache_bytes_per_token, serving_bytes
from explorer.cost.memory import Memory, memory, peak_allocated_bytes, peak_device_bytes
from explorer.cost.parameters import Parameters, parameters

__all__ = [
    "Flops",
    "Ledger",
    "Memory",
    "Parameters",
    "flops",
    "keys_per_query",
    "kv_cache_bytes",
    "kv_cache_bytes_per_token",
    "ledger",
    "memory",
    "parameters",
    "peak_allocated_bytes",
    "peak_device_bytes",
    "serving_bytes",
]
