"use strict";
(() => {
  const json = (id) => JSON.parse(document.getElementById(id).textContent);
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
  const specs = json("page-specs"), state = json("page-state"), colours = json("page-colours"), raw = json("page-data");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const number = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 4 });
  const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
  const tables = {}, views = {};
  const now = { corpus: state.corpus, x: state.x, selected: new Set(), chosen: null, from: null };

  // Tables are read once; charts share them, each with rows of its own because Vega marks what it draws.
  const cells = /("(?:[^"]|"")*"|[^,\n]*)(,|\n|$)/y;
  const parse = (csv, types) => {
    const rows = [[]];
    cells.lastIndex = 0;
    while (cells.lastIndex < csv.length) {
      const [, cell, end] = cells.exec(csv);
      rows.at(-1).push(cell[0] === '"' ? cell.slice(1, -1).replaceAll('""', '"') : cell);
      if (end === "\n") rows.push([]);
    }
    const [names, ...body] = rows;
    const typed = (name, cell) => (types[name] === "number" ? (cell === "" ? null : +cell) : cell);
    return body.filter((row) => row.length).map((row) => Object.fromEntries(names.map((name, k) => [name, typed(name, row[k] ?? "")])));
  };
  const table = (name) => (tables[name] ??= unpack(raw[name]));
  const unpack = ({ csv, types, levels }) => {
    const rows = parse(csv, types), packed = Object.entries(levels);
    for (const row of rows) for (const [name, values] of packed) row[name] = values[row[name]];
    if (rows[0]?.ok != null && state.y) for (const row of rows) { row.x = row[state.x]; row.y = row[state.y]; }
    return rows;
  };
  const rowsOf = (name) => table(name).map((row) => ({ ...row }));

  const paint = (value, palette) => {
    if (typeof value === "string") return value[0] === "@" && palette[value.slice(1)] || value;
    if (Array.isArray(value)) return value.map((item) => paint(item, palette));
    if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, paint(v, palette)]));
    return value;
  };

  const tip = document.createElement("div");
  tip.className = "tip"; tip.hidden = true; document.body.append(tip);
  const tooltip = (_, event, __, value) => {
    if (!value || typeof value !== "object") { tip.hidden = true; return; }
    const list = document.createElement("dl");
    for (const [key, said] of Object.entries(value)) {
      if (said === "" || said === "undefined" || said === "null" || said === "NaN" || said == null) continue;
      const pair = document.createElement("div"), term = document.createElement("dt"), figure = document.createElement("dd");
      term.textContent = key; figure.textContent = said; pair.append(term, figure); list.append(pair);
    }
    tip.replaceChildren(list); tip.hidden = false;
    const box = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - box.width - 8))}px`;
    tip.style.top = `${event.clientY + box.height + 20 > innerHeight ? Math.max(4, event.clientY - box.height - 12) : event.clientY + 14}px`;
  };

  const large = new Set(["front", "plane"]);
  const retitle = (spec) => {
    const axis = state.axes?.find((a) => a.column === now.x);
    if (!axis || now.x === state.x) return spec;
    for (const a of spec.axes) if (a.scale === "x") {
      if (a.title) a.title = axis.title;
      if (now.x !== "context_length") { delete a.values; delete a.encode; a.format = "~s"; a.tickCount = 6; }
    }
    for (const s of spec.scales) if (s.name === "x") s.base = now.x === "context_length" ? 2 : 10;
    return spec;
  };

  const draw = async (holder) => {
    const name = holder.dataset.chart;
    let spec = paint(structuredClone(specs[name]), colours[dark.matches && !now.printing ? "dark" : "light"]);
    if (name === "front") spec = retitle(spec);
    for (const source of spec.data) if (raw[source.name]) source.values = rowsOf(source.name);
    views[name]?.finalize();
    const inner = document.createElement("div");
    inner.style.width = "100%";
    // The holder's label says what is drawn; the marks one by one would only be noise to a screen reader.
    inner.setAttribute("aria-hidden", "true");
    holder.replaceChildren(inner);
    const { view } = await window.vegaEmbed(inner, spec, {
      mode: "vega", actions: false, renderer: large.has(name) ? "canvas" : "svg", hover: false, tooltip, logLevel: 1,
    });
    views[name] = view;
    holder.style.minHeight = "0";
    holder.dataset.drawn = "yes";
    if (large.has(name)) {
      view.addSignalListener("brush", () => brushed(name));
      view.addEventListener("click", (_, item) => { const id = item?.datum?.id; if (id != null && item.datum.kind === "front") choose(id); });
    }
    return view;
  };

  // ---- corpus and axis -------------------------------------------------------------------------
  const better = (direction, a, b) => direction === "maximize" ? a > b : a < b;
  const direction = (column) => state.axes?.find((a) => a.column === column)?.better ?? "minimize";

  const judge = () => {
    const rows = table("designs"), asked = now.corpus === state.corpus;
    for (const row of rows) {
      row.first ??= row.front; row.lossAsked ??= row.loss;
      if (row[`loss_${now.corpus}`] != null) row.loss = asked ? row.lossAsked : row[`loss_${now.corpus}`];
      row.x = row[now.x]; row.y = row[state.y];
    }
    const original = asked && now.x === state.x;
    if (original) for (const row of rows) row.front = row.first;
    else {
      const up = direction(now.x);
      const order = rows.filter((r) => r.ok).sort((a, b) => (state.yBetter === "maximize" ? b.y - a.y : a.y - b.y) || (up === "maximize" ? b.x - a.x : a.x - b.x));
      let last = null;
      for (const row of rows) row.front = 0;
      for (const row of order) if (last === null || better(up, row.x, last)) { row.front = 1; last = row.x; }
    }
    const sign = state.yBetter === "maximize" ? -1 : 1, ok = rows.filter((r) => r.ok);
    const levels = ok.map((r) => sign * r.y).sort((a, b) => a - b), low = levels[0];
    const reach = Math.max(...ok.filter((r) => r.front).map((r) => sign * r.y));
    const high = Math.max(2 * reach - low, levels[Math.floor(0.35 * (levels.length - 1))]), span = high - low || 1;
    const ends = [sign * (low - 0.14 * span), sign * (high + 0.06 * span)].sort((a, b) => a - b);
    return { rows, original, low: ends[0], high: ends[1] };
  };

  const rejudge = async (redraw) => {
    const found = judge();
    if (redraw && views.front) await draw($("[data-chart=front]"));
    const view = views.front;
    if (view) {
      const named = new Map(table("picks").map((p) => [p.id, p.label]));
      view.signal("exactShown", found.original).signal("yLow", found.low).signal("yHigh", found.high)
        .data("designs", found.rows.map((r) => ({ ...r })))
        .data("picks", found.original ? rowsOf("picks") : []);
      await view.runAsync();
    }
    if (views.plane) {
      const column = `loss_${now.corpus}`, cells = table("plane");
      for (const cell of cells) { cell.lossAsked ??= cell.loss; cell.loss = now.corpus === state.corpus ? cell.lossAsked : cell[column] ?? cell.lossAsked; }
      const least = Math.min(...cells.filter((c) => c.ok).map((c) => c.loss));
      for (const cell of cells) {
        cell.above = cell.ok ? cell.loss - least : null;
        cell.grade = cell.ok ? state.steps.filter((s) => cell.above > s).length : 0;
        if (cell.ok) cell.shown = cell.loss.toFixed(4);
      }
      views.plane.data("plane", cells.map((c) => ({ ...c }))).data("designs", found.rows.map((r) => ({ ...r })));
      await views.plane.runAsync();
    }
    const front = found.rows.filter((r) => r.front);
    if (!found.original) {
      const best = front.reduce((a, b) => (a.loss <= b.loss ? a : b));
      say("front", `Among the ${whole.format(found.rows.length)} designs on this page, judged on ${now.corpus}, ${front.length} form the front; the lowest loss is ${best.loss.toFixed(4)} nats/token at c = ${whole.format(best.context_length)} tokens, d = ${whole.format(best.d_model)}, L = ${best.n_layers}. This front was not searched for: it is read off what this run looked at.`);
      const cells = views.plane ? table("plane").filter((c) => c.ok) : [];
      if (cells.length && now.corpus !== state.corpus) {
        const top = cells.reduce((a, b) => (a.loss <= b.loss ? a : b));
        say("plane", `Judged on ${now.corpus}, the best cell has c = ${whole.format(top.context_length)} tokens at d = ${whole.format(top.d_model)}, ${number.format(top.context_length / top.d_model)} times its width.`);
      }
    }
    if (found.original) say("front");
    if (now.corpus === state.corpus) say("plane");
    showTable(); select([], null);
  };

  const said = {};
  const say = (name, text) => {
    const target = $(`[data-takeaway="${name}"]`);
    if (!target) return;
    said[name] ??= target.textContent;
    target.textContent = text ?? said[name];
  };

  const verdicts = state.verdicts ?? {};
  const setCorpus = (corpus) => {
    now.corpus = corpus;
    const box = $("#verdict"), card = verdicts[corpus];
    if (box && card) {
      box.dataset.status = card.status;
      $("[data-mark]", box).textContent = card.mark;
      $("[data-status-text]", box).textContent = `The idea ${card.status === "undecided" ? "is undecided" : card.status} on ${corpus}`;
      $("[data-sentence]", box).textContent = card.sentence;
    }
    for (const part of $$("[data-corpus]")) part.hidden = part.dataset.corpus !== corpus;
    return rejudge(false);
  };

  // ---- selection -------------------------------------------------------------------------------
  const brushed = (name) => {
    const area = views[name].signal("brush");
    const keys = area ? Object.keys(area) : [];
    if (!keys.length) { if (now.from === name) select([], null); return; }
    const inside = table("designs").filter((r) => r.front && keys.every((k) => r[k] >= Math.min(...area[k]) && r[k] <= Math.max(...area[k])));
    select(inside, name);
  };

  const select = (rows, from) => {
    now.selected = new Set(rows.map((r) => r.id)); now.from = from;
    const on = rows.length > 0;
    for (const name of ["front", "plane"]) if (views[name]) views[name].signal("dim", on || from !== null).data("selected", rows.map((r) => ({ ...r }))).runAsync();
    const parallel = views.parallel;
    if (parallel) parallel.signal("dim", on).data("parallel-selected", on ? rowsOf("parallel").filter((r) => now.selected.has(r.id)) : []).runAsync();
    for (const row of $$("#front-table tbody tr")) row.classList.toggle("picked", now.selected.has(+row.dataset.id));
    const status = $("#selection");
    if (!status) return;
    $("#clear").hidden = !on && from === null;
    if (!on) { status.textContent = from === null ? "Nothing is selected." : "The marked area holds no design of the front."; return; }
    const span = (key, format) => { const v = rows.map((r) => r[key]); const a = Math.min(...v), b = Math.max(...v); return a === b ? format(a) : `${format(a)} to ${format(b)}`; };
    status.textContent = `${rows.length} of the front selected: c ${span("context_length", whole.format)} tokens, d ${span("d_model", whole.format)}, loss ${span("loss", (v) => v.toFixed(4))} nats/token.`;
  };

  // ---- the chosen design -----------------------------------------------------------------------
  const apart = state.apart ?? { designs: [] };
  const choose = (id, scroll) => {
    now.chosen = id;
    for (const row of $$("#front-table tbody tr")) {
      const mine = +row.dataset.id === id;
      row.classList.toggle("chosen", mine);
      if (mine) $("input", row).checked = true;
    }
    const row = table("designs").find((r) => r.id === id);
    const parts = apart.designs[id];
    if (row) {
      select([row], "choice");
      const target = $("#apart-design");
      if (target) target.textContent = `c = ${whole.format(row.context_length)} tokens, d = ${whole.format(row.d_model)}, L = ${row.n_layers}: loss ${row.loss.toFixed(4)} nats/token${row.memory_gib ? `, ${number.format(row.memory_gib)} GiB per GPU` : ""}`;
    }
    if (!parts) return;
    const beside = $("#beside")?.value;
    for (const quantity of ["memory", "flops", "time"]) {
      const name = `anatomy-${quantity}`, order = apart.order[quantity];
      if (!views[name]) continue;
      const bar = (who, place, found) => {
        const folded = {};
        for (const [part, value] of Object.entries(found ?? {})) { const key = order.includes(part) ? part : order[order.length - 1]; folded[key] = (folded[key] ?? 0) + value; }
        return Object.entries(folded).map(([part, value]) => ({ who, place, part, rank: order.indexOf(part), value, quantity }));
      };
      const other = apart.models[beside]?.[quantity];
      views[name].data(name, [...bar("this design", 0, parts[quantity]), ...(other ? bar(beside, 1, other) : [])]).runAsync();
      const total = Object.values(parts[quantity]).reduce((a, b) => a + b, 0), top = Object.entries(parts[quantity]).sort((a, b) => b[1] - a[1])[0];
      const unit = { memory: "GiB per GPU", flops: "GFLOPs per token", time: "µs per token" }[quantity];
      const rest = other ? `; ${beside} takes ${number.format(Object.values(other).reduce((a, b) => a + b, 0))} ${unit} in all` : "";
      say(name, `The largest part is ${top[0]}, ${Math.round(100 * top[1] / total)}% of ${number.format(total)} ${unit}${rest}.`);
      anatomyTable(name, parts[quantity], other, beside, unit);
    }
    if (scroll) $("#h-apart")?.scrollIntoView({ block: "start" });
  };

  const anatomyTable = (name, mine, other, beside, unit) => {
    const body = $(`#fig-${name} tbody`), head = $(`#fig-${name} thead tr`);
    if (!body) return;
    head.cells[1].textContent = `This design (${unit})`;
    if (head.cells[2]) head.cells[2].textContent = beside;
    const names = [...new Set([...Object.keys(mine), ...Object.keys(other ?? {})])];
    const sum = (o) => Object.values(o ?? {}).reduce((a, b) => a + b, 0);
    const line = (label, a, b) => {
      const row = document.createElement("tr"), th = document.createElement("th");
      th.scope = "row"; th.textContent = label; row.append(th);
      for (const v of head.cells[2] ? [a, b] : [a]) { const td = document.createElement("td"); td.className = "num"; td.textContent = number.format(v ?? 0); row.append(td); }
      return row;
    };
    body.replaceChildren(...names.map((n) => line(n, mine[n], other?.[n])), line("Sum", sum(mine), sum(other)));
  };

  // ---- the table -------------------------------------------------------------------------------
  const UNITS = { k: 1024, m: 1e6, b: 1e9, t: 1e12 };
  const FIELDS = [
    [/(?:training )?memory|gib|vram/, "memory_gib", "training memory", "GiB per GPU"], [/kv[- ]?cache|kv/, "kv_gib", "KV cache", "GiB"],
    [/serving/, "serving_gib", "serving memory", "GiB"], [/context|ctx|window/, "context_length", "context", "tokens"], [/loss|nats/, "loss", "loss", "nats/token"],
    [/gpu[- ]?hours?/, "gpu_hours", "GPU-hours", "GPU-hours"], [/days?/, "days", "days", "days"], [/parameters?|params?|size|model/, "n_params", "parameters", "parameters"],
    [/training tokens|tokens/, "n_tokens", "training tokens", "tokens"], [/width|d_model/, "d_model", "width d", ""], [/layers?|depth/, "n_layers", "layers L", ""], [/throughput/, "tokens_per_second_per_gpu", "throughput", "tokens/s per GPU"],
  ];
  const fieldIn = (text) => FIELDS.map((f) => [text.search(f[0]), f]).filter(([at]) => at >= 0).sort((a, b) => a[0] - b[0])[0]?.[1];
  const conditionsIn = (text) => {
    const found = [];
    const pattern = /([a-z_\- ]*?)\s*(at least|at most|no more than|not more than|no less than|more than|less than|under|below|over|above|within|up to|>=|<=|≥|≤|>|<)\s*([\d.,]+)\s*(gib|gb|k|m|b|t)?\b\s*((?:training |serving )?[a-z\-]*(?: (?:cache|hours?))?)/g;
    const rest = text.replace(pattern, (_, before, sign, amount, unit, after) => {
      const less = /most|no more|not more|less than|under|below|within|up to|<=|≤|</.test(sign) && !/no less/.test(sign);
      const bytes = unit === "gib" || unit === "gb";
      // What stands after the amount names the figure; then what stands right before it.
      let field = fieldIn(after) ?? fieldIn(before.split(/\band\b|\bwith\b|,/).pop());
      if (bytes && (!field || !field[1].endsWith("_gib"))) field = FIELDS[0];
      if (!field) return _;
      let value = parseFloat(amount.replace(/,/g, ""));
      if (unit === "gb") value *= 1e9 / 2 ** 30;
      else if (unit && unit !== "gib") value *= unit === "k" && field[1] !== "context_length" && field[1] !== "d_model" ? 1000 : UNITS[unit];
      found.push({ field, less, value, strict: /^[<>]$|^(under|below|over|above|more than|less than)$/.test(sign) });
      return /best|lowest|longest|fewest/.test(before) ? before : " ";
    });
    return { found, rest };
  };
  const meets = (row, c) => row[c.field[1]] != null && (c.less ? (c.strict ? row[c.field[1]] < c.value : row[c.field[1]] <= c.value) : (c.strict ? row[c.field[1]] > c.value : row[c.field[1]] >= c.value));
  const tell = (c) => `${c.field[2]} ${c.less ? (c.strict ? "<" : "≤") : (c.strict ? ">" : "≥")} ${number.format(c.value)} ${c.field[3]}`.trim();

  const showTable = () => {
    const rows = new Map(table("designs").map((r) => [r.id, r])), filter = ($("#filter")?.value ?? "").trim().toLowerCase();
    const { found } = conditionsIn(filter);
    let shown = 0;
    for (const line of $$("#front-table tbody tr")) {
      const row = rows.get(+line.dataset.id);
      const keep = !filter || (found.length ? row && found.every((c) => meets(row, c)) : line.textContent.toLowerCase().includes(filter));
      line.hidden = !keep; shown += keep;
    }
    const status = $("#rows-shown");
    if (status) status.textContent = `${shown} designs${found.length ? ` with ${found.map(tell).join(" and ")}` : ""}${now.corpus !== state.corpus ? `; losses in this table stay on ${state.corpus}` : ""}`;
  };

  const sortBy = (button) => {
    const th = button.closest("th"), column = +button.dataset.sort + 1, body = $("#front-table tbody");
    const up = th.getAttribute("aria-sort") !== "ascending";
    for (const other of $$("#front-table th[aria-sort]")) other.setAttribute("aria-sort", "none");
    th.setAttribute("aria-sort", up ? "ascending" : "descending");
    const value = (row) => +row.cells[column].dataset.raw;
    body.append(...$$("tr", body).sort((a, b) => (up ? 1 : -1) * (value(a) - value(b))));
  };

  // ---- the question ----------------------------------------------------------------------------
  const ask = (text) => {
    const lower = text.toLowerCase().replace(/(\d)\s*(tokens)/g, "$1 context"), { found, rest } = conditionsIn(lower);
    const most = /longest|largest|highest|most|fastest|biggest/.test(rest), goal = /longest/.test(rest) ? FIELDS[3] : /fastest/.test(rest) ? FIELDS[11] : fieldIn(rest.replace(/best|lowest|highest|fewest/g, " ")) ?? FIELDS[4];
    const target = $("#found");
    if (!found.length && !/best|lowest|longest|largest|highest|most|fewest|least|smallest|cheapest|fastest/.test(lower)) { target.textContent = `“${text}” was not understood. Try: best loss under 60 GiB with at least 16k context.`; return; }
    const up = most || (/best/.test(rest) && ["context_length", "tokens_per_second_per_gpu", "n_tokens"].includes(goal[1]));
    const rows = table("designs").filter((r) => r.ok && r[goal[1]] != null && found.every((c) => meets(r, c)));
    const read = `${up ? "highest" : "lowest"} ${goal[2]}${found.length ? ` with ${found.map(tell).join(" and ")}` : ""}`;
    if (!rows.length) {
      target.textContent = `Understood: ${read}. None of the ${whole.format(table("designs").filter((r) => r.ok).length)} feasible designs on this page meets that.`;
      select([], null); return;
    }
    const best = rows.reduce((a, b) => ((up ? b[goal[1]] > a[goal[1]] : b[goal[1]] < a[goal[1]]) ? b : a));
    target.textContent = `Understood: ${read}. Of ${whole.format(rows.length)} feasible designs that qualify, it is c = ${whole.format(best.context_length)} tokens, d = ${whole.format(best.d_model)}, L = ${best.n_layers}: loss ${best.loss.toFixed(4)} nats/token on ${now.corpus}, ${number.format(best.memory_gib)} GiB per GPU, ${number.format(best.n_params / 1e9)}B parameters, ${whole.format(best.gpu_hours)} GPU-hours${best.front ? "" : " (not on the front)"}.`;
    if (best.kind === "front") choose(best.id); else select([best], "question");
  };

  // ---- start -----------------------------------------------------------------------------------
  const wire = () => {
    for (const input of $$("input[name=corpus]")) input.addEventListener("change", () => setCorpus(input.value));
    for (const button of $$("[data-sort]")) button.addEventListener("click", () => sortBy(button));
    for (const input of $$("input[name=design]")) input.addEventListener("change", () => choose(+input.value));
    $("#filter")?.addEventListener("input", showTable);
    $("#query")?.addEventListener("submit", (event) => { event.preventDefault(); ask($("#ask").value); });
    $("#axis")?.addEventListener("change", (event) => { now.x = event.target.value; rejudge(true); });
    $("#beside")?.addEventListener("change", () => choose(now.chosen ?? apart.best));
    $("#clear")?.addEventListener("click", () => { for (const name of ["front", "plane"]) if (views[name]) { try { views[name].signal("brush_x", []).signal("brush_y", []).runAsync(); } catch { /* a chart without a brush */ } } select([], null); });
    $("#copy")?.addEventListener("click", async () => {
      const id = now.chosen ?? apart.best ?? 0, line = `explore export ${/^[\w.-]+$/.test(state.name) ? `reports/${state.name}` : "RUN"} --to hf --pick ${id}`;
      try { await navigator.clipboard.writeText(line); $("#copied").textContent = `Copied: ${line}`; } catch { $("#copied").textContent = line; }
    });
    const redrawAll = () => { for (const holder of $$("[data-chart]")) if (holder.dataset.drawn) draw(holder); };
    dark.addEventListener("change", redrawAll);
    addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });
    document.addEventListener("keydown", (event) => { if (event.key === "Escape") { tip.hidden = true; select([], null); } });
  };

  const start = async () => {
    wire();
    const holders = $$("[data-chart]");
    for (const holder of holders) {
      await draw(holder);
      // Give the browser a turn, so that the page can be read while it is drawn.
      await new Promise((done) => setTimeout(done, 0));
    }
    document.documentElement.dataset.ready = "yes";
  };
  if (window.vegaEmbed) start(); else document.documentElement.dataset.ready = "yes";
})();
