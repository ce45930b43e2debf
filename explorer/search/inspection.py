"""One design taken apart or pushed to its limits, named by model, config file or columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from explorer import quality
from explorer.catalog import accelerator
from explorer.cost import Hardware
from explorer.cost import limits as find_limits
from explorer.cost.anatomy import anatomy
from explorer.design import Design, Plan
from explorer.errors import ExplorerError, InputErrors, nearest
from explorer.formats import named
from explorer.search.columns import COLUMNS, REQUIRED
from explorer.units import GB, GIB, format_bytes, format_count, parse_bytes, parse_count

_N_DRAWS = 200
_TOKENS_PER_PARAMETER = 20


def inspect(target: str | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters, FLOPs, memory, KV cache, time and loss of one design as nested plain data.

    `target` is a catalogue model or a config file, or None for a design described by `given` alone;
    `given` holds columns of `evaluate`, as text or numbers. Raises InputErrors with a line per mistake.
    """
    values = _values(given)
    design = _design(target, values)
    plan = _plan(values)
    hardware = Hardware(
        accelerator=accelerator(values.get("accelerator", "h100-sxm-80gb")), n_gpus=int(plan.n_gpus)
    )
    found = anatomy(
        design, plan, hardware, weight_bits=values.get("weight_bits", 16), kv_bits=values.get("kv_bits", 16)
    )
    step, total = found["time"], found["parameters"]["n_params"]
    tokens = float(values.get("n_tokens", _TOKENS_PER_PARAMETER * total))
    hours = tokens / float(step["tokens_per_second_per_gpu"]) / 3600
    law, corpus = quality.law(), quality.corpus(values.get("corpus", "web"))
    arguments: dict[str, Any] = {
        "n_params": total if law.n_counts == "total" else found["parameters"]["n_params_non_embedding"],
        "n_tokens": tokens,
        "context_length": design.context_length,
        "aspect": design.d_model / design.n_layers,
    }
    staged: dict[str, Any] = {"staged_from": design.staged_from, "staged_share": design.staged_share}
    low, _, high = quality.loss_interval(
        quality.posterior(law, corpus, _N_DRAWS, seed=0), **arguments, **staged
    )
    flags = quality.domain_flags(law, **arguments)
    found["time"] |= {"gpu_hours": hours, "accelerator": hardware.accelerator.name}
    found["loss"] = {
        "loss": quality.loss(quality.central(law, corpus), **arguments, **staged),
        "loss_p05": low,
        "loss_p95": high,
        "n_tokens": tokens,
        "law": law.name,
        "corpus": corpus.name,
        "extrapolated": [name for name, out in flags.items() if bool(out)],
        "blind_to": list(quality.BLIND_LEVERS),
    }
    return {"name": target or "design", **found}


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """The same for a person: each total with the parts it is the sum of."""
    d, p, m, t = (found[k] for k in ("design", "parameters", "memory", "time"))
    yield (
        f"{found['name']}: c = {d['context_length']:,} tokens, d = {d['d_model']:,}, L = {d['n_layers']:,}, "
        f"{d['n_heads']:,} heads of {d['d_head']:,} ({d['n_kv_heads']:,} KV), "
        f"d_ff = {d['d_ff']:,} {d['ffn']}, V = {d['vocab_size']:,}"
    )
    yield f"parameters: {p['n_params']:,.0f} ({p['n_params_non_embedding']:,.0f} without embeddings)"
    if p["n_params_active"] != p["n_params"]:
        yield f"  active per token: {p['n_params_active']:,.0f}"
    for name, value in p["parts"].items():
        if value:
            yield f"  {name:<28}{value:>20,.0f}"
    f = found["flops"]
    causal, full = f["forward_flops_per_token"]["causal"], f["forward_flops_per_token"]["full"]
    yield f"forward FLOPs per token, 2 per multiply-add: {causal:,.0f} causal, {full:,.0f} full attention"
    for name, value in f["forward_flops_per_token_by_operation"].items():
        yield f"  {name:<28}{value:>20,.0f}  {value / causal:6.1%}"
    yield (
        f"training FLOPs per token: {f['train_flops_per_token']:,.0f} (causal, no recompute); "
        f"attention's quadratic share "
        f"{f['attention_flops_share']:.1%} causal, {f['attention_flops_share_full']:.1%} full"
    )
    plan = found["plan"]
    yield (
        f"memory per GPU: {format_bytes(m['peak_device_bytes'])} on the device "
        f"({format_bytes(m['peak_allocated_bytes'])} allocated, {format_bytes(m['peak_reserved_bytes'])} "
        f"reserved); {plan['n_gpus']:,} GPU(s), micro-batch {plan['micro_batch']:,}, "
        f"{plan['precision']}, {plan['implementation']}, {plan['attention_kernel']} attention, "
        f"recompute {plan['recompute']}"
    )
    for name in ("parameter_bytes", "gradient_bytes", "optimizer_bytes", "saved_activation_bytes"):
        yield f"  {name.removesuffix('_bytes').replace('_', ' '):<28}{format_bytes(m[name]):>20}"
    yield "instants of one step, allocated:"
    for name, value in m["instants"].items():
        mark = "  <- peak" if name == m["peak_instant"] else ""
        yield f"  {name:<28}{format_bytes(value):>20}{mark}"
    ledger = m["ledger"]
    yield f"kept for the backward pass, bytes per token and layer: {ledger['bytes_per_token_per_layer']:,.0f}"
    for entry in ledger["layer"]:
        yield f"  {entry['operation']:<28}{entry['bytes_per_token']:>20,.0f}"
    yield f"outside the layers, bytes per token: {ledger['bytes_per_token_outside']:,.0f}"
    for entry in ledger["outside"]:
        yield f"  {entry['operation']:<28}{entry['bytes_per_token']:>20,.0f}"
    kv = found["kv_cache"]
    yield (
        f"KV cache: {kv['kv_cache_bytes_per_token']:,.0f} bytes per token, "
        f"{format_bytes(kv['kv_cache_bytes'])} at full context; "
        f"with the weights {format_bytes(kv['serving_bytes'])}"
    )
    yield (
        f"step: {t['step_seconds']:.4g} s for {t['tokens_per_step']:,.0f} tokens on {t['accelerator']}, "
        f"{t['tokens_per_second_per_gpu']:,.0f} tokens/s per GPU, MFU {t['mfu']:.1%}"
    )
    for name, value in t["parts_seconds"].items():
        if value:
            yield f"  {name:<28}{value:>18.4g} s"
    loss = found["loss"]
    beyond = (
        f"; outside the law's domain in {', '.join(loss['extrapolated'])}" if loss["extrapolated"] else ""
    )
    yield (
        f"loss on {loss['corpus']} after {format_count(loss['n_tokens'])} tokens: "
        f"{loss['loss']:.3f} nats per token (90% interval {loss['loss_p05']:.3f} to {loss['loss_p95']:.3f}, "
        f"{loss['law']}){beyond}; "
        f"{t['gpu_hours']:,.0f} GPU-hours"
    )
    yield "assumptions:"
    for assumption in found["assumptions"]:
        yield f"  {assumption}"


def limits(target: str | None, given: Mapping[str, Any], memory: str | None) -> dict[str, Any]:
    """The largest context and micro-batch of one design, one row per way of training or serving it."""
    values = _values(given)
    design, plan = _design(target, values), _plan(values)
    n_gpus = int(values.get("n_gpus", plan.n_gpus))
    device = accelerator(values.get("accelerator", "h100-sxm-80gb"))
    hardware = Hardware(accelerator=device, n_gpus=n_gpus)
    laid_out = any(values.get(k, 1) != 1 for k in _SIZES)
    asked = plan if laid_out or n_gpus == 1 else plan.with_(data_parallel=1)
    cap = device.memory_bytes if memory is None else min(_bytes(memory), device.memory_bytes)
    found = find_limits(design, asked, hardware, cap, kv_bits=int(values.get("kv_bits", 16)))
    rows = [
        {
            "purpose": one.purpose,
            "setting": one.setting,
            "layout": one.layout,
            "largest_context": one.largest_context,
            "context_stopped_by": one.context_instant,
            "largest_micro_batch": one.largest_micro_batch,
            "micro_batch_stopped_by": one.batch_instant,
        }
        for one in found
    ]
    return {
        "title": f"{target or 'design'} on {n_gpus} x {device.name}, {cap / GIB:.1f} GiB ({cap / GB:.1f} GB) "
        f"each; micro-batches at c = {design.context_length:,}",
        "memory_limit_bytes": cap,
        "rows": rows,
        "anything_fits": any(one.fits for one in found),
    }


_SIZES = ("tensor_parallel", "pipeline_parallel", "context_parallel", "data_parallel")


def _design(target: str | None, values: Mapping[str, Any]) -> Design:
    changes = {k: v for k, v in values.items() if COLUMNS[k].part == "design"}
    if values.get("schedule") == "staged":
        changes = {"staged_from": 4096, "staged_share": 0.05} | changes
    if target is None:
        missing = [name for name in REQUIRED if name not in changes]
        if missing:
            flags = ", ".join("--" + name.replace("_", "-") for name in missing)
            raise ExplorerError(f"name a model or a config.json, or give {flags} as well")
        return Design.of(**changes)
    design = named(target)
    if "bias" in changes:
        changes |= dict.fromkeys(("qkv_bias", "output_bias", "ffn_bias"), changes.pop("bias"))
    # A new width keeps the head size, a new head count the width.
    if "d_model" in changes and not {"n_heads", "d_head"} & set(changes):
        heads = Design.of(1, changes["d_model"], 1, d_head=design.d_head).n_heads
        changes["n_heads"] = heads
        changes.setdefault("n_kv_heads", heads if design.n_kv_heads == design.n_heads else design.n_kv_heads)
    return design.with_(**changes)


def _plan(values: Mapping[str, Any]) -> Plan:
    known = {f.name for f in fields(Plan)}
    given = {k: v for k, v in values.items() if k in known}
    inner = 1
    for name in ("tensor_parallel", "pipeline_parallel", "context_parallel"):
        inner *= given.get(name, 1)
    n_gpus = values.get("n_gpus", inner * given.get("data_parallel", 1))
    given.setdefault("data_parallel", n_gpus // inner)
    if given["data_parallel"] * inner != n_gpus:
        raise ExplorerError(
            f"n_gpus must be the product of the parallel sizes, got {n_gpus} and "
            f"{inner * given['data_parallel']}"
        )
    given.setdefault("global_batch", given.get("micro_batch", 1) * given["data_parallel"])
    return Plan(**given)


def _values(given: Mapping[str, Any]) -> dict[str, Any]:
    """Flags as numbers, truths and choices; every mistake at once."""
    values: dict[str, Any] = {}
    errors: list[str] = []
    for name, value in given.items():
        column, flag = COLUMNS[name], "--" + name.replace("_", "-")
        if column.kind == "number":
            try:
                number = parse_count(value)
            except ValueError as error:
                errors.append(f"{flag}: {error}, got '{value}'")
                continue
            whole = number.is_integer()
            if not whole and name != "staged_share":
                errors.append(f"{flag}: a whole number is needed, got '{value}'")
            values[name] = int(number) if whole else number
        elif column.kind == "choice" and value not in column.options:
            near = nearest(str(value), column.options)
            hint = f"; did you mean {near[0]}?" if near else ""
            errors.append(f"{flag}: one of {', '.join(column.options)}, got '{value}'{hint}")
        else:
            values[name] = value
    for name in (
        "context_length",
        "d_model",
        "n_layers",
        "n_heads",
        "n_kv_heads",
        "d_head",
        "micro_batch",
        *_SIZES,
    ):
        if values.get(name, 1) < 1:
            errors.append(f"--{name.replace('_', '-')}: at least 1 is needed, got {values[name]}")
    if errors:
        raise InputErrors(errors)
    return values


def _bytes(text: str) -> float:
    try:
        return parse_bytes(text)
    except ValueError as error:
        raise ExplorerError(f"--gpu-memory: {error}, got '{text}'") from None
