"""What a design costs: parameters, FLOPs, memory, time, serving, plans, limits."""

from explorer.cost.activations import Ledger, ledger
from explorer.cost.best_plan import Planned, best_plan
from explorer.cost.flops import Flops, flops, keys_per_query
from explorer.cost.hardware import Hardware
from explorer.cost.kv_cache import kv_cache_bytes, kv_cache_bytes_per_token, serving_bytes
from explorer.cost.limits import Limit, limits
from explorer.cost.memory import Memory, memory, peak_allocated_bytes, peak_device_bytes
from explorer.cost.parameters import Parameters, parameters
from explorer.cost.plans import Setting, enumerate_plans
from explorer.cost.serving import FORMATS, Format, Serving, serving
from explorer.cost.time import StepTime, step_seconds, step_time

__all__ = [
    "FORMATS",
    "Flops",
    "Format",
    "Hardware",
    "Ledger",
    "Limit",
    "Memory",
    "Parameters",
    "Planned",
    "Serving",
    "Setting",
    "StepTime",
    "best_plan",
    "enumerate_plans",
    "flops",
    "keys_per_query",
    "kv_cache_bytes",
    "kv_cache_bytes_per_token",
    "ledger",
    "limits",
    "memory",
    "parameters",
    "peak_allocated_bytes",
    "peak_device_bytes",
    "serving",
    "serving_bytes",
    "step_seconds",
    "step_time",
]
