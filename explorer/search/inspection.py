"""One design taken apart or pushed to its limits, named by model, config file or columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from explorer import quality
from explorer.budget.readers import size
from explorer.catalog import accelerator
from explorer.cost import FORMATS, Format, Hardware
from explorer.cost import limits as find_limits
from explorer.cost.anatomy import anatomy
from explorer.design import Design, Plan
from explorer.errors import ExplorerError, InputErrors, nearest
from explorer.formats import named
from explorer.search.columns import COLUMNS, REQUIRED
from explorer.units import GB, QUANTILES, format_bytes, format_count, format_loss, parse_count

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
    _check_layout(design, plan)
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
    draws = quality.posterior(law, corpus, _N_DRAWS, seed=0)
    quantiles = quality.loss_interval(draws, **arguments, **staged)
    flags = quality.domain_flags(law, **arguments)
    joules = step["energy_joules"]
    energy = None if joules is None else float(joules) / float(step["tokens_per_step"]) * tokens / 3.6e6
    found["time"] |= {"gpu_hours": hours, "energy_kwh": energy, "accelerator": hardware.accelerator.name}
    found["loss"] = {
        "loss": quality.loss(quality.central(law, corpus), **arguments, **staged),
        **{f"loss_{q}": value for q, value in zip(QUANTILES, quantiles, strict=True)},
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
    by_pass = f["train_flops_per_token_by_pass"]
    yield "FLOPs per training token by pass, causal and full; the device executes their sum:"
    for name, value in by_pass["causal"].items():
        if value:
            yield f"  {name:<38}{value:>20,.0f}{by_pass['full'][name]:>20,.0f}"
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
    yield from _serving_lines(found["serving"], int(d["context_length"]))
    if t["energy_kwh"] is not None:
        yield (
            f"energy: {t['energy_joules'] / t['tokens_per_step']:.4g} J per token, {t['energy_kwh']:,.0f} kWh for "
            f"{format_count(found['loss']['n_tokens'])} tokens"
        )
    loss = found["loss"]
    beyond = (
        f"; outside the law's domain in {', '.join(loss['extrapolated'])}" if loss["extrapolated"] else ""
    )
    yield (
        f"loss on {loss['corpus']} after {format_count(loss['n_tokens'])} tokens: "
        f"{format_loss(loss)} nats per token ({loss['law']}){beyond}; "
        f"{t['gpu_hours']:,.0f} GPU-hours"
    )
    yield "assumptions:"
    for assumption in found["assumptions"]:
        yield f"  {assumption}"


def _serving_lines(served: Mapping[str, Any], context: int) -> Iterator[str]:
    """One line per number format: what a GPU holds, how long a full prompt and one token more take."""
    if not served["formats"]:
        # The assumptions say why.
        return
    sequences = f"{served['batch']:,} sequence(s) of {context:,} tokens"
    ranks = served["tensor_parallel"]
    yield (
        f"serving {sequences} on {ranks} GPU(s): bytes per GPU, seconds to read the prompts, then "
        "milliseconds per token and tokens written per second, all sequences together:"
    )
    own = (served["weight_bits"], served["kv_bits"])
    rows = list(served["formats"])
    if own not in [(row["weight_bits"], row["kv_bits"]) for row in rows]:
        rows.insert(0, dict(served) | {"format": _format(*own).name})
    for row in rows:
        yield (
            f"  {row['format']:<28}{format_bytes(row['total_bytes']):>20} "
            f"({format_bytes(row['weight_bytes'])} weights)"
            f"{row['prefill_seconds']:>12.4g} s {1e3 * row['decode_seconds_per_token']:>9.3g} ms"
            f"{row['decode_tokens_per_second']:>11,.0f} tokens/s"
        )


def limits(target: str | None, given: Mapping[str, Any], memory: str | None) -> dict[str, Any]:
    """The largest context and micro-batch of one design, one row per way of training or serving it."""
    values = _values(given)
    design, plan = _design(target, values), _plan(values)
    _check_layout(design, plan)
    n_gpus = int(values.get("n_gpus", plan.n_gpus))
    device = accelerator(values.get("accelerator", "h100-sxm-80gb"))
    hardware = Hardware(accelerator=device, n_gpus=n_gpus)
    laid_out = any(values.get(k, 1) != 1 for k in _SIZES)
    asked = plan if laid_out or n_gpus == 1 else plan.with_(data_parallel=1)
    cap = device.memory_bytes if memory is None else min(_bytes(memory), device.memory_bytes)
    bits = {name: int(values[name]) for name in ("weight_bits", "kv_bits") if name in values}
    formats = (_format(bits.get("weight_bits", 16), bits.get("kv_bits", 16)),) if bits else FORMATS
    found = find_limits(design, asked, hardware, cap, formats)
    rows = [
        {
            "purpose": one.purpose,
            "setting": one.setting,
            "layout": one.layout,
            "largest_context": one.largest_context,
            "context_stopped_by": one.context_instant,
            "context_tokens_per_second": one.context_tokens_per_second,
            "largest_micro_batch": one.largest_micro_batch,
            "micro_batch_stopped_by": one.batch_instant,
            "micro_batch_tokens_per_second": one.batch_tokens_per_second,
        }
        for one in found
    ]
    return {
        "title": f"{target or 'design'} on {n_gpus} x {device.name}, {format_bytes(cap)} ({cap / GB:.3g} GB) "
        f"each; micro-batches at c = {design.context_length:,}",
        "memory_limit_bytes": cap,
        "context_length": design.context_length,
        "rows": rows,
        "notes": list(_limit_notes(asked, design, memory, cap)),
        "anything_fits": any(one.fits for one in found),
    }


def _format(weight_bits: int, kv_bits: int) -> Format:
    name = f"{weight_bits}-bit weights, {kv_bits}-bit cache"
    return Format(name=name, weight_bits=weight_bits, kv_bits=kv_bits)


def _limit_notes(plan: Plan, design: Design, memory: str | None, cap: float) -> Iterator[str]:
    """What the numbers mean, for the line under the table."""
    micro = max(1, int(plan.micro_batch))
    yield (
        f"training: the longest sequence at micro-batch {micro} and the largest micro-batch at c = "
        f"{design.context_length:,}, per rank, {plan.precision}, {plan.optimizer}, {plan.implementation}, "
        "one micro-batch a step (a pipeline: one per stage); stopped by: the moment of the step whose bytes pass the "
        "limit at one token (or sequence) more"
    )
    yield (
        "serving: the longest single sequence, and the sequences at once at full context per replica; weights, "
        "cache and the CUDA context are counted, a server's work space (1.3 GiB in vLLM's log of Llama 3 8B) is not"
    )
    yield "tokens/s: trained on, or written with full caches, by all GPUs together at that limit"
    if memory is not None and _bytes(memory) > cap:
        yield f"{memory} is more than the device reports; {format_bytes(cap)} taken"


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
    for name in ("weight_bits", "kv_bits"):
        if values.get(name, 16) not in (4, 8, 16, 32):
            errors.append(f"--{name.replace('_', '-')}: 4, 8, 16 or 32 is needed, got {values[name]}")
    if errors:
        raise InputErrors(errors)
    return values


def _check_layout(design: Design, plan: Plan) -> None:
    """Raise where a plan cannot be laid out, whatever the memory."""
    if design.n_heads % plan.tensor_parallel:
        raise ExplorerError(
            f"tensor_parallel must divide the {design.n_heads} heads, got {plan.tensor_parallel}"
        )
    if plan.pipeline_parallel > design.n_layers:
        raise ExplorerError(
            f"pipeline_parallel must be at most the {design.n_layers} layers, got {plan.pipeline_parallel}"
        )


def _bytes(text: str) -> float:
    try:
        return size(text)
    except ValueError as error:
        raise ExplorerError(f"--gpu-memory: {error}, got '{text}'") from None
