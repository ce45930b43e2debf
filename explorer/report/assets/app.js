"use strict";
(async () => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
  // What the page carries is deflated; a browser inflates it by itself.
  const inflated = (id) => {
    const text = atob(document.getElementById(id)?.textContent ?? ""), bytes = new Uint8Array(text.length);
    for (let k = 0; k < bytes.length; k++) bytes[k] = text.charCodeAt(k);
    return bytes.length ? new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"))).text() : "";
  };
  if (!window.DecompressionStream) {
    for (const holder of $$("[data-chart]")) holder.textContent = "This browser is too old to draw the charts (they need one of 2023 or later); their data are in the tables below them.";
    document.documentElement.dataset.ready = "yes";
    return;
  }
  const [library, carried] = await Promise.all(["page-vega", "page-carried"].map(inflated));
  const { specs, state, colours, data: raw } = JSON.parse(carried);
  const script = document.createElement("script");
  script.textContent = library;
  document.head.append(script);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const number = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 4 });
  const brief = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 3 });
  const amount = new Intl.NumberFormat("en-US", { notation: "compact", maximumSignificantDigits: 3 });
  const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
  const tables = {}, views = {};
  const now = { corpus: state.corpus, x: state.x, y: state.y, selected: new Set(), chosen: null, from: null };

  // Tables are read once; charts share them, each with rows of its own because Vega marks what it draws.
  // A column is one string, the code of each row in digits: printable characters without those that are escaped.
  const DIGIT = new Uint8Array(127);
  let base = 0;
  for (let k = 33; k < 127; k++) if (!"\"\\&'<>".includes(String.fromCharCode(k))) DIGIT[k] = base++;
  const column = ({ text, width, levels, low, places }, count) => {
    const scale = 10 ** Math.abs(places), found = new Array(count);
    for (let row = 0, at = 0; row < count; row++) {
      let code = width ? 0 : 1;
      for (const end = at + width; at < end; at++) code = code * base + DIGIT[text.charCodeAt(at)];
      found[row] = !code ? null : levels ? levels[code - 1] : places < 0 ? (low + code - 1) * scale : (low + code - 1) / scale;
    }
    return found;
  };
  // A row knows its place: what is said of it beside the asked loss is looked up when it is said.
  const LATE = /^loss_/, late = {};
  const lookup = (row, key) => raw[row.inTable].columns[key] ? (late[`${row.inTable} ${key}`] ??= column(raw[row.inTable].columns[key], raw[row.inTable].rows))[row.inRow] : null;
  const unpack = (name) => {
    const { rows: count, columns } = raw[name], keys = Object.keys(columns).filter((key) => !LATE.test(key));
    const found = keys.map((key) => column(columns[key], count));
    // Rows written out as literals stay in the browser's fast form; thousands filled key by key do not.
    const row = new Function("found", "inTable", "inRow", `return { inTable, inRow, ${keys.map((key, k) => `${JSON.stringify(key)}: found[${k}][inRow]`)} }`);
    const rows = Array.from({ length: count }, (_, inRow) => row(found, name, inRow));
    if (name === "designs") {
      const bit = state.proven.indexOf(state.corpus);
      rows.forEach((row, k) => { row.id = k; row.front = +(row.kind === "front"); row.exact = (row.proof >> bit) & 1; row.x = row[now.x]; row.y = row[now.y]; });
    }
    return rows;
  };
  const table = (name) => (tables[name] ??= unpack(name));
  // The plane shows designs of the front only.
  const rowsOf = (name, chart) => (chart === "plane" && name === "designs" ? table(name).filter((row) => row.front) : table(name)).map((row) => ({ ...row }));

  // A row's loss on the corpus that is judged on, with the 90% interval and the median of its draws.
  const lossKey = () => (now.corpus === state.corpus ? "loss" : `loss_${now.corpus}`);
  const between = (row) => {
    const of = lossKey(), [low, mid, high] = ["p05", "p50", "p95"].map((q) => lookup(row, `${of}_${q}`)?.toFixed(3));
    return low && mid && high ? ` (${low} to ${high}, median ${mid})` : "";
  };
  const lossOf = (row) => `${row.loss.toFixed(4)} nats/token${between(row)}`;

  const paint = (value, palette) => {
    if (typeof value === "string") return value[0] === "@" && palette[value.slice(1)] || value;
    if (Array.isArray(value)) return value.map((item) => paint(item, palette));
    if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, paint(v, palette)]));
    return value;
  };

  const tip = document.createElement("div");
  tip.className = "tip"; tip.hidden = true; document.body.append(tip);
  // Over a row of a table that is told of, its lines are written now; other charts bring theirs written.
  const written = (row, key, how) => {
    const value = row[key];
    if (value == null || how === "text") return value;
    if (how === "count") return amount.format(value);
    // A cell in which nothing fits has no loss.
    if (key === "loss" && row.inTable === "plane" && !row.ok) return null;
    return value.toLocaleString("en-US", { minimumFractionDigits: how, maximumFractionDigits: how }) + (key === "loss" ? between(row) : "");
  };
  const linesOf = (value) => state.told?.[value.inTable]?.map(([key, title, how]) => [title, written(value, key, how)]) ?? Object.entries(value);
  const tooltip = (_, event, __, value) => {
    if (!value || typeof value !== "object") { tip.hidden = true; return; }
    const list = document.createElement("dl");
    for (const [key, said] of linesOf(value)) {
      if (said === "" || said === "undefined" || said === "null" || said === "NaN" || said == null) continue;
      const pair = document.createElement("div"), term = document.createElement("dt"), figure = document.createElement("dd");
      term.textContent = key; figure.textContent = said; pair.append(term, figure); list.append(pair);
    }
    tip.replaceChildren(list); tip.hidden = false;
    const box = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - box.width - 8))}px`;
    tip.style.top = `${event.clientY + box.height + 20 > innerHeight ? Math.max(4, event.clientY - box.height - 12) : event.clientY + 14}px`;
  };

  const large = new Set(["front", "plane"]), LINK_MS = 80, MANY = 80;
  const axisOf = (column) => state.axes?.find((a) => a.column === column) ?? { log: false, better: "minimize", label: column };
  const retitle = (spec) => {
    for (const side of ["x", "y"]) {
      const axis = axisOf(now[side]), tokens = now[side] === "context_length";
      if (now[side] === state[side]) continue;
      for (const a of spec.axes) if (a.scale === side) {
        if (a.title) a.title = axis.title;
        if (!tokens) { delete a.values; delete a.encode; a.format = axis.log ? "~s" : "~r"; a.tickCount = 6; }
      }
      for (const s of spec.scales) if (s.name === side) { s.type = axis.log ? "log" : "linear"; s.base = tokens ? 2 : 10; s.zero = false; s.nice = false; }
    }
    return spec;
  };

  // A4 less its margins is 695 pixels wide; charts are drawn for the paper, so that their letters are not shrunk on it.
  const widthOf = (holder) => (!now.printing ? holder.clientWidth : holder.closest(".pair, .trio") ? 336 : 695);
  const draw = async (holder) => {
    const name = holder.dataset.chart, room = widthOf(holder);
    let spec = paint(specs[name], colours[dark.matches && !now.printing ? "dark" : "light"]);
    if (name === "front") spec = retitle(spec);
    // On a narrow screen a long title takes several lines.
    if (room < 460) for (const axis of spec.axes ?? []) if (typeof axis.title === "string" && axis.title.length > 44) axis.title = axis.title.match(/.{1,44}(\s|$)/g).map((line) => line.trim());
    // On a narrow screen a legend stands in fewer columns, its title above them.
    if (room < 460) for (const legend of spec.legends ?? []) { legend.columns = legend.columns > 2 ? 2 : room < 300 || !legend.columns ? 1 : legend.columns; legend.titleOrient = "top"; }
    for (const source of spec.data) if (raw[source.name]) source.values = rowsOf(source.name, name);
    views[name]?.finalize();
    const inner = document.createElement("div");
    inner.style.width = now.printing ? `${room}px` : "100%";
    // The holder's label says what is drawn; the marks one by one would only be noise to a screen reader.
    inner.setAttribute("aria-hidden", "true");
    holder.replaceChildren(inner);
    const view = new vega.View(vega.parse(spec), { renderer: large.has(name) ? "canvas" : "svg", container: inner, tooltip, logLevel: 1 });
    await view.runAsync();
    views[name] = view;
    holder.style.minHeight = "0";
    holder.dataset.drawn = "yes";
    if (large.has(name)) {
      view.addSignalListener("brush", () => brushed(name));
      view.addEventListener("click", (_, item) => { const id = item?.datum?.id; if (id != null && ranked(item.datum)) choose(id); });
    }
    return view;
  };

  // ---- corpus and axes -------------------------------------------------------------------------
  const better = (direction, a, b) => direction === "maximize" ? a > b : a < b;
  // Where designs were measured, those that were not are no match for them.
  const ranked = (row) => row.ok && row.kind !== "baseline" && (!state.measured || row.kind === "front" || row.kind === "trial");
  // Designs taken apart come first; what is best along any two axes is among them, on every corpus.
  const taken = (row) => row.id < (state.apart?.taken ?? Infinity);

  // Which designs form the front: the run's own, the exact one of another corpus, or what this page can tell.
  const judge = () => {
    const rows = table("designs"), asked = now.corpus === state.corpus;
    const bit = state.proven.indexOf(now.corpus), drawn = now.x === state.x && now.y === state.y;
    const objectives = [now.x, now.y].every((column) => state.objectives.includes(column));
    for (const row of rows) {
      row.first ??= row.front; row.lossAsked ??= row.loss;
      row.loss = asked ? row.lossAsked : lookup(row, lossKey()) ?? row.lossAsked;
      row.x = row[now.x]; row.y = row[now.y]; row.front = 0;
      row.exact = bit >= 0 && (row.proof >> bit) & 1;
    }
    const source = !objectives ? "page" : asked ? "run" : bit >= 0 && !state.measured ? "proof" : "page";
    if (source === "run") for (const row of rows) row.front = row.first;
    else if (source === "proof") for (const row of rows) row.front = row.exact;
    else {
      const up = axisOf(now.x).better, high = axisOf(now.y).better === "maximize";
      const order = rows.filter((row) => ranked(row) && taken(row)).sort((a, b) => (high ? b.y - a.y : a.y - b.y) || (up === "maximize" ? b.x - a.x : a.x - b.x));
      let last = null;
      for (const row of order) if (last === null || better(up, row.x, last)) { row.front = 1; last = row.x; }
    }
    // The range worth seeing, on the scale that is drawn.
    const axis = axisOf(now.y), sign = axis.better === "maximize" ? -1 : 1, ok = rows.filter((r) => r.ok);
    const scaled = (v) => sign * (axis.log ? Math.log(v) : v), plain = (v) => (axis.log ? Math.exp(sign * v) : sign * v);
    const levels = ok.map((r) => scaled(r.y)).sort((a, b) => a - b), low = levels[0];
    const reach = Math.max(...ok.filter((r) => r.front).map((r) => scaled(r.y)));
    const named = ok.filter((r) => r.inside || r.kind === "baseline").map((r) => scaled(r.y));
    const high = Math.max(2 * reach - low, levels[Math.floor(0.35 * (levels.length - 1))], ...named), span = high - low || 1;
    const ends = [plain(low - 0.14 * span), plain(high + 0.06 * span)].sort((a, b) => a - b);
    return { rows, source, asked, drawn, low: ends[0], high: ends[1], line: drawn && state.objectives.length === 2 && bit >= 0 && !state.measured };
  };

  const shapeOf = (r) => `c = ${whole.format(r.context_length)} tokens, d = ${whole.format(r.d_model)}, L = ${r.n_layers}`;
  const frontWords = ({ source, asked, drawn, rows }) => {
    const front = rows.filter((r) => r.front), best = front.reduce((a, b) => (a.loss <= b.loss ? a : b));
    const lowest = `The lowest loss is ${lossOf(best)} at ${shapeOf(best)}`;
    const pair = `${axisOf(now.y).label.toLowerCase()} and ${axisOf(now.x).label.toLowerCase()}`;
    if (source === "run" && drawn) return undefined;
    if (source === "run") return `The front in all ${state.objectives.length} objectives, seen along ${pair}: a design that looks beaten here is better in another. ${lowest}.`;
    if (source === "proof") {
      const longest = front.reduce((a, b) => (a.context_length >= b.context_length ? a : b));
      const to = longest === best ? "" : `, the longest context c = ${whole.format(longest.context_length)} tokens at ${lossOf(longest)}`;
      // A longer front travels evenly taken.
      const what = front.length > 200 ? `these are ${front.length} designs of the exact front` : "this is the exact front";
      return `Judged on ${now.corpus}, ${what}, proven over all ${whole.format(state.lattice)} designs. ${lowest}${to}.`;
    }
    return `Among the ${whole.format(rows.filter(ranked).length)} ${state.measured ? "measured" : "feasible"} designs on this page, judged on ${now.corpus} by ${pair}, ${front.length} form the front. ${lowest}. This front was not searched for: it is read off what this run looked at.`;
  };

  const rejudge = async (redraw) => {
    const found = judge();
    if (redraw && views.front) await draw($("[data-chart=front]"));
    const view = views.front, own = found.asked && found.drawn;
    if (view) {
      view.signal("exactShown", found.line).signal("yLow", found.low).signal("yHigh", found.high)
        .data("designs", found.rows.map((r) => ({ ...r })))
        .data("picks", own ? rowsOf("picks") : rowsOf("picks").filter((r) => r.kept).map((r) => ({ ...r, x: found.rows[r.id].x, y: found.rows[r.id].y })));
      await view.runAsync();
    }
    if (views.plane) {
      const cells = table("plane");
      for (const cell of cells) { cell.lossAsked ??= cell.loss; cell.loss = found.asked ? cell.lossAsked : lookup(cell, lossKey()) ?? cell.lossAsked; }
      const least = Math.min(...cells.filter((c) => c.ok).map((c) => c.loss));
      for (const cell of cells) {
        cell.above = cell.ok ? cell.loss - least : null;
        cell.grade = cell.ok ? state.steps.filter((s) => cell.above > s).length : 0;
      }
      views.plane.data("plane", cells.map((c) => ({ ...c }))).data("designs", rowsOf("designs", "plane"));
      await views.plane.runAsync();
      const ok = cells.filter((c) => c.ok);
      if (ok.length && !found.asked) {
        const top = ok.reduce((a, b) => (a.loss <= b.loss ? a : b));
        say("plane", `Judged on ${now.corpus}, the best cell has a loss of ${lossOf(top)}, with c = ${whole.format(top.context_length)} tokens at d = ${whole.format(top.d_model)}, ${number.format(top.context_length / top.d_model)} times its width.`);
      } else say("plane");
    }
    say("front", frontWords(found));
    fillTable(found); select([], null);
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
  // A drag sends an event per pixel; what is linked to it follows some times a second, a quarter of the time at most,
  // and when it is let go.
  let moved = null, took = 0;
  const brushed = (name) => { moved ??= { name, timer: setTimeout(follow, Math.max(LINK_MS, 4 * took)) }; };
  const follow = async () => {
    if (!moved) return;
    const { name, timer } = moved;
    clearTimeout(timer); moved = null;
    const area = views[name].signal("brush");
    const keys = area ? Object.keys(area) : [];
    if (!keys.length) { if (now.from === name) select([], null); return; }
    const inside = table("designs").filter((r) => r.front && r.kind !== "baseline" && keys.every((k) => r[k] >= Math.min(...area[k]) && r[k] <= Math.max(...area[k])));
    const began = performance.now();
    await Promise.all(select(inside, name));
    took = performance.now() - began;
  };

  const select = (rows, from) => {
    now.selected = new Set(rows.map((r) => r.id)); now.from = from;
    const on = rows.length > 0;
    const drawn = [];
    for (const name of ["front", "plane"]) if (views[name]) drawn.push(views[name].signal("dim", on || from !== null).signal("many", rows.length > MANY).data("selected", rows.map((r) => ({ ...r }))).runAsync());
    const parallel = views.parallel;
    if (parallel) drawn.push(parallel.signal("dim", on).data("parallel-selected", on ? rowsOf("parallel").filter((r) => now.selected.has(r.id)) : []).runAsync());
    showTable();
    tellSelection(rows, from);
    return drawn;
  };

  const tellSelection = (rows, from) => {
    const status = $("#selection"), on = rows.length > 0;
    if (!status) return;
    $("#clear").hidden = !on && from === null;
    if (!on) { status.textContent = from === null ? "Nothing is selected." : "The marked area holds no design of the front."; return; }
    const span = (key, format) => { const v = rows.map((r) => r[key]); const a = Math.min(...v), b = Math.max(...v); return a === b ? format(a) : `${format(a)} to ${format(b)}`; };
    // One design has its interval; several have the widest one that theirs span.
    const ends = ["p05", "p95"].map((q) => rows.map((r) => lookup(r, `${lossKey()}_${q}`)).filter((v) => v != null));
    const spread = rows.length === 1 ? between(rows[0]) : ends[0].length ? `, 90% intervals from ${Math.min(...ends[0]).toFixed(3)} to ${Math.max(...ends[1]).toFixed(3)}` : "";
    status.textContent = `${rows.length} ${rows.every((r) => r.front) ? "of the front" : rows.length > 1 ? "designs" : "design, not on this front,"} selected: c ${span("context_length", whole.format)} tokens, d ${span("d_model", whole.format)}, loss ${span("loss", (v) => v.toFixed(4))} nats/token${spread}.`;
  };

  // ---- the chosen design -----------------------------------------------------------------------
  // Rows of a table by the design they belong to, put together when first asked for; models count from −1 down.
  const apart = state.apart ?? {}, byDesign = {};
  const together = (name) => { const found = {}; for (const row of table(name)) (found[row.design] ??= []).push(row); return found; };
  const ofDesign = (name, id) => (raw[name] ? (byDesign[name] ??= together(name))[id] ?? [] : []);
  const barsOf = (id) => ofDesign("apart", id).map((line) => [`at ${whole.format(line.context_length)}`, line]);
  const choose = (id, scroll) => {
    now.chosen = id;
    const row = table("designs").find((r) => r.id === id);
    const parts = barsOf(id);
    if (row) {
      select([row], "choice");
      const target = $("#apart-design");
      if (target) target.textContent = `${shapeOf(row)}: loss ${lossOf(row)}${row.memory_gib ? `, ${number.format(row.memory_gib)} GiB per GPU` : ""}`;
    }
    near(id); showExport(id);
    $("#not-apart").hidden = parts.length > 0 || !raw.apart;
    if (!parts.length) return;
    const beside = $("#beside")?.value, others = barsOf(-1 - apart.models.indexOf(beside));
    for (const quantity of ["memory", "flops", "time"]) {
      const name = `anatomy-${quantity}`, every = apart.order[quantity], order = every.slice(0, apart.most);
      if (!specs[name]) continue;
      const named = (line) => Object.fromEntries(every.map((part, k) => [part, line[`${quantity}${k}`]]).filter(([, value]) => value > 0));
      const bars = [...parts.map(([at, found]) => [`this design|${at}`, named(found)]), ...others.map(([at, found]) => [`${beside}|${at}`, named(found)])];
      const folded = (found) => {
        const out = {};
        for (const [part, value] of Object.entries(found)) { const key = order.includes(part) ? part : order.at(-1); out[key] = (out[key] ?? 0) + value; }
        return Object.entries(out);
      };
      const rows = bars.flatMap(([who, found], place) => folded(found).map(([part, value]) => ({ who, place, part, rank: order.indexOf(part), value, quantity })));
      // The number of bars differs between constant and staged designs, so the chart is drawn anew.
      tables[name] = rows;
      if (views[name]) draw($(`[data-chart=${name}]`));
      const sum = (found) => Object.values(found).reduce((a, b) => a + b, 0), full = bars[parts.length - 1];
      const total = sum(full[1]), top = Object.entries(full[1]).sort((a, b) => b[1] - a[1])[0];
      const unit = { memory: "GiB per GPU", flops: "GFLOPs per token", time: "µs per token" }[quantity];
      const rest = bars.filter((bar) => bar !== full).map(([who, found]) => `; ${who.replace("this design|", "").replace("|", " ")} tokens ${who.startsWith("this design") ? "it is" : "takes"} ${brief.format(sum(found))}`).join("");
      const where = parts.length > 1 ? `A${full[0].split("|")[1].slice(1)} tokens the` : "The";
      say(name, `${where} largest part is ${top[0]}, ${Math.round(100 * top[1] / total)}% of ${brief.format(total)} ${unit}${rest}.`);
      fillRows(name, ["Part", ...bars.map(([who]) => who.replace("|", " "))], [
        ...every.filter((p) => bars.some(([, found]) => p in found)).map((p) => [p, ...bars.map(([, found]) => brief.format(found[p] ?? 0))]),
        ["Sum", ...bars.map(([, found]) => brief.format(sum(found)))],
      ]);
    }
    if (scroll) $("#h-apart")?.scrollIntoView({ block: "start" });
  };

  // A chart's data table, written anew: the first cell of a row names it, the others are numbers.
  const fillRows = (name, heads, rows) => {
    const body = $(`#fig-${name} tbody`), head = $(`#fig-${name} thead tr`);
    if (!body) return;
    const cell = (tag, text, scope) => { const made = document.createElement(tag); made.textContent = text; if (scope) made.scope = scope; if (scope !== "row" && text !== heads[0]) made.className = "num"; return made; };
    head.replaceChildren(...heads.map((text) => cell("th", text, "col")));
    body.replaceChildren(...rows.map(([first, ...rest]) => { const line = document.createElement("tr"); line.append(cell("th", first, "row"), ...rest.map((text) => cell("td", text))); return line; }));
  };

  // ---- what a little more of each lever does ---------------------------------------------------
  const LEVERS = { context_length: "context c", d_model: "width d", n_layers: "layers L" };
  const percent = (v) => `${number.format(+(100 * v).toPrecision(2))}%`;
  const nats = (v) => `${v > 0 ? "+" : "−"}${Math.abs(v).toFixed(4)} nats`;
  const near = (id) => {
    const lines = ofDesign("near", id), levers = lines.map((line) => line.lever);
    const here = Object.fromEntries(lines.map((line) => [line.lever, line]));
    if (!levers.length) return;
    const effects = { "near-loss": { loss: "under the budget", same_tokens: "at the same tokens" }, "near-cost": { hours: "GPU-hours at the same tokens", memory: "memory per GPU" } };
    for (const [name, shown] of Object.entries(effects)) {
      if (!specs[name]) continue;
      tables[name] = levers.flatMap((lever, place) => Object.entries(shown).map(([key, what]) => ({ lever: LEVERS[lever], place, what, value: here[lever][key] })));
      views[name]?.data(name, rowsOf(name)).runAsync();
      fillRows(name, ["Lever", "Neighbours compared", ...Object.values(shown)], levers.map((lever) => [LEVERS[lever], `${whole.format(here[lever].low)} and ${whole.format(here[lever].high)}`,
        ...Object.keys(shown).map((key) => (name === "near-cost" ? percent(here[lever][key]) : `${here[lever][key].toFixed(5)} nats`))]));
    }
    const most = (of) => levers.reduce((a, b) => (of(b) > of(a) ? b : a));
    const steep = most((k) => Math.abs(here[k].loss)), free = most((k) => -here[k].same_tokens);
    say("near-loss", `Under the budget, where a dearer token means fewer of them, no lever moves the loss more than ${LEVERS[steep]}: 10% more changes it by ${nats(here[steep].loss)}${here[free].same_tokens < 0 ? `; at the same tokens ${LEVERS[free]} brings most, ${nats(here[free].same_tokens)}` : ""}.`);
    const [first, ...rest] = levers.toSorted((a, b) => here[b].hours - here[a].hours), held = most((k) => here[k].memory);
    const others = rest.map((k) => `${LEVERS[k]} ${percent(here[k].hours)}`).join(" and ");
    say("near-cost", `At the same tokens, 10% more ${LEVERS[first]} takes ${percent(here[first].hours)} more GPU-hours${others ? `, ${others}` : ""}; most memory goes to ${LEVERS[held]}, ${percent(here[held].memory)} more.`);
  };

  // ---- the chosen design's files ---------------------------------------------------------------
  // A file is text with gaps; what stands in a gap is the design's place in a column.
  const filled = {};
  const gap = (which, row, count) => {
    const packed = state.exports.columns[which], { decimals: k, grouped } = packed;
    const value = (filled[which] ??= column(packed, count))[row];
    return k === undefined ? value : value.toLocaleString("en-US", { minimumFractionDigits: k, maximumFractionDigits: k, useGrouping: grouped });
  };
  const file = (id) => {
    for (const group of state.exports?.files?.[$("#target")?.value] ?? []) {
      const rows = (group.ids ??= column(group.rows, group.count)), row = rows.indexOf(id);
      if (row < 0) continue;
      return { text: group.text.map((piece) => (typeof piece === "string" ? piece : gap(piece, row, rows.length))).join(""), refused: group.refused };
    }
    return null;
  };
  const exported = (id) => { const found = file(id); return found && !found.refused ? `${found.text}\n` : null; };
  const showExport = (id) => {
    const box = $("#export-text");
    if (!box) return;
    const text = exported(id), found = file(id);
    box.textContent = text ?? (found ? `${found.text}.` : "This design is on no front of this page, so no file was written for it.");
    $("#copy").disabled = text === null;
    $("#copied").textContent = "";
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
  const tell = (c) => `${c.field[2]} ${c.less ? (c.strict ? "<" : "≤") : (c.strict ? ">" : "≥")} ${Number.isInteger(c.value) ? whole.format(c.value) : number.format(c.value)} ${c.field[3]}`.trim();

  // The table lists the front that is drawn. Rows are made when they are first shown, and of a long front some at a
  // time: first those that the page came with, the selected ones on top.
  const body = $("#front-table tbody"), PAGE = 100;
  const came = body ? $$("tr", body) : [], keys = $$("#front-table [data-key]").map((button) => button.dataset.key);
  const screenOnly = new Set($$("#front-table th.screen [data-key]").map((button) => button.dataset.key));
  const cameSaying = $("#rows-shown")?.textContent;
  const own = new Map(came.map((line) => [+line.dataset.id, line]));
  const list = { rows: [], lines: own, own: true, key: null, up: true, most: PAGE, shown: came };
  const figures = (v) => (v >= 100 ? whole.format(v) : v.toPrecision(3));
  const COLUMNS = { peak_device_bytes: ["memory_gib", figures], kv_cache_bytes: ["kv_gib", figures], serving_bytes: ["serving_gib", figures], loss: ["loss", (v) => v.toFixed(4)], n_params: ["n_params", (v) => amount.format(v)], n_tokens: ["n_tokens", (v) => amount.format(v)], days: ["days", figures] };
  const cellOf = (row, key) => {
    const quantile = /^loss(_p\d\d)$/.exec(key)?.[1], [column, show] = COLUMNS[key] ?? [key, whole.format];
    return quantile ? [lookup(row, lossKey() + quantile), (v) => v.toFixed(3)] : [row[column], show];
  };
  const lineOf = (row) => {
    if (list.lines.has(row.id)) return list.lines.get(row.id);
    const line = document.createElement("tr"), first = document.createElement("td"), input = document.createElement("input");
    const cell = (text, name) => { const td = document.createElement("td"); td.textContent = text; if (name) td.className = name; return td; };
    line.dataset.id = row.id;
    Object.assign(input, { type: "radio", name: "design", value: row.id }); input.setAttribute("aria-label", `Choose ${shapeOf(row)}`);
    input.addEventListener("change", () => choose(row.id)); first.append(input);
    line.append(first, ...keys.map((key) => { const [value, show] = cellOf(row, key); return cell(value == null ? "" : show(value), `num${screenOnly.has(key) ? " screen" : ""}`); }),
      ...[row.schedule, row.plan, row.binds || "none", row.exact ? "yes" : "no", row.outside ? "yes" : "no", list.own ? state.picks?.[row.id] ?? "" : ""].map((text, k) => cell(text, k === 3 ? "screen" : "")));
    list.lines.set(row.id, line);
    return line;
  };
  const fillTable = ({ source, rows }) => {
    if (!body) return;
    list.own = source === "run"; list.lines = list.own ? own : new Map(); list.most = PAGE; list.key = null;
    list.rows = rows.filter((row) => row.front);
    if (!list.own) list.rows.sort((a, b) => a.loss - b.loss);
    $("#front-of").textContent = list.own ? "" : `The front as judged on ${now.corpus}.`;
    for (const th of $$("#front-table th[aria-sort]")) th.setAttribute("aria-sort", "none");
  };

  const showTable = () => {
    if (!body) return;
    if (!list.rows.length) list.rows = table("designs").filter((row) => row.front);
    const filter = ($("#filter")?.value ?? "").trim().toLowerCase(), { found } = conditionsIn(filter);
    const keep = (row) => (found.length ? found.every((c) => meets(row, c)) : lineOf(row).textContent.toLowerCase().includes(filter));
    let rows = filter ? list.rows.filter(keep) : list.rows;
    if (list.key) {
      const values = new Map(rows.map((row) => [row.id, cellOf(row, list.key)[0]]));
      rows = [...rows].sort((a, b) => (list.up ? 1 : -1) * (values.get(a.id) - values.get(b.id)));
    }
    const asCame = list.own && !filter && !list.key && list.most === PAGE, long = rows.length > list.most;
    const marked = (row) => now.selected.has(row.id);
    let shown = asCame ? came : rows.slice(0, list.most).map(lineOf);
    if (long || (asCame && rows.length > came.length)) {
      const top = rows.filter(marked).slice(0, list.most).map(lineOf), first = new Set(top);
      shown = [...top, ...shown.filter((line) => !first.has(line))].slice(0, Math.max(list.most, came.length));
    }
    if (shown.length !== list.shown.length || shown.some((line, k) => line !== list.shown[k])) body.replaceChildren(...shown);
    list.shown = shown;
    const chosen = now.chosen ?? (list.own ? apart.best : null);
    for (const line of shown) {
      const id = +line.dataset.id;
      line.classList.toggle("picked", now.selected.has(id)); line.classList.toggle("chosen", id === now.chosen);
      if (id === chosen) $("input", line).checked = true;
    }
    const some = shown.length < rows.length;
    $("#more").hidden = !some;
    const told = `${whole.format(rows.length)} designs${found.length ? ` with ${found.map(tell).join(" and ")}` : ""}`;
    $("#rows-shown").textContent = asCame ? cameSaying : some ? `${told}, ${whole.format(shown.length)} of them listed` : told;
  };

  const sortBy = (button) => {
    const th = button.closest("th");
    list.up = th.getAttribute("aria-sort") !== "ascending"; list.key = button.dataset.key;
    for (const other of $$("#front-table th[aria-sort]")) other.setAttribute("aria-sort", "none");
    th.setAttribute("aria-sort", list.up ? "ascending" : "descending");
    showTable();
  };

  // ---- the question ----------------------------------------------------------------------------
  const ask = (text) => {
    const lower = text.toLowerCase().replace(/(\d)\s*(tokens)/g, "$1 context"), { found, rest } = conditionsIn(lower);
    const most = /longest|largest|highest|most|fastest|biggest/.test(rest), goal = /longest/.test(rest) ? FIELDS[3] : /fastest/.test(rest) ? FIELDS[11] : fieldIn(rest.replace(/best|lowest|highest|fewest/g, " ")) ?? FIELDS[4];
    const target = $("#found");
    if (!found.length && !/best|lowest|longest|largest|highest|most|fewest|least|smallest|cheapest|fastest/.test(lower)) { target.textContent = `“${text}” was not understood. Try: ${$("#ask").placeholder}.`; return; }
    const up = most || (/best/.test(rest) && ["context_length", "tokens_per_second_per_gpu", "n_tokens"].includes(goal[1]));
    const rows = table("designs").filter((r) => ranked(r) && r[goal[1]] != null && found.every((c) => meets(r, c)));
    const read = `${up ? "highest" : "lowest"} ${goal[2]}${found.length ? ` with ${found.map(tell).join(" and ")}` : ""}`;
    if (!rows.length) {
      target.textContent = `Understood: ${read}. None of the ${whole.format(table("designs").filter(ranked).length)} feasible designs on this page meets that.`;
      select([], null); return;
    }
    const best = rows.reduce((a, b) => ((up ? b[goal[1]] > a[goal[1]] : b[goal[1]] < a[goal[1]]) ? b : a));
    target.textContent = `Understood: ${read}. Of ${whole.format(rows.length)} feasible designs that qualify, it is ${shapeOf(best)}: loss ${best.loss.toFixed(4)} nats/token on ${now.corpus}${between(best)}, ${number.format(best.memory_gib)} GiB per GPU, ${number.format(best.n_params / 1e9)}B parameters, ${whole.format(best.gpu_hours)} GPU-hours${best.front ? "" : " (not on the front)"}.`;
    choose(best.id);
  };

  // ---- start -----------------------------------------------------------------------------------
  const wire = () => {
    for (const input of $$("input[name=corpus]")) input.addEventListener("change", () => setCorpus(input.value));
    for (const button of $$("[data-sort]")) button.addEventListener("click", () => sortBy(button));
    for (const input of $$("input[name=design]")) input.addEventListener("change", () => choose(+input.value));
    $("#filter")?.addEventListener("input", () => { list.most = PAGE; showTable(); });
    $("#more")?.addEventListener("click", () => { list.most += PAGE; showTable(); });
    $("#query")?.addEventListener("submit", (event) => { event.preventDefault(); ask($("#ask").value); });
    for (const side of ["x", "y"]) $(`#axis-${side}`)?.addEventListener("change", (event) => { now[side] = event.target.value; rejudge(true); });
    $("#target")?.addEventListener("change", () => showExport(now.chosen ?? apart.best));
    $("#beside")?.addEventListener("change", () => choose(now.chosen ?? apart.best));
    $("#clear")?.addEventListener("click", () => { for (const name of ["front", "plane"]) if (views[name]) { try { views[name].signal("brush_x", []).signal("brush_y", []).runAsync(); } catch { /* a chart without a brush */ } } select([], null); });
    $("#copy")?.addEventListener("click", async () => {
      const text = exported(now.chosen ?? apart.best), file = $("#target").selectedOptions[0].textContent;
      try { await navigator.clipboard.writeText(text); $("#copied").textContent = `Copied: ${file}, ${text.split("\n").length - 1} lines.`; }
      catch { const range = document.createRange(); range.selectNodeContents($("#export-text")); getSelection().removeAllRanges(); getSelection().addRange(range); $("#copied").textContent = "The browser does not allow copying; the text is selected, press Ctrl+C."; }
    });
    const redrawAll = () => { for (const holder of $$("[data-chart]")) if (holder.dataset.drawn) draw(holder); };
    dark.addEventListener("change", redrawAll);
    // Paper is light and narrow; what is drawn before this handler's promises are settled is what is printed.
    for (const [event, printing] of [["beforeprint", true], ["afterprint", false]]) addEventListener(event, () => { now.printing = printing; redrawAll(); });
    addEventListener("pointerup", follow);
    addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });
    document.addEventListener("keydown", (event) => { if (event.key === "Escape") { tip.hidden = true; select([], null); } });
  };

  const start = async () => {
    wire(); showExport(apart.best);
    // The chart nearest to what is read comes first; between charts the browser has a turn.
    const left = new Set($$("[data-chart]"));
    const away = (holder) => { const { top, bottom } = holder.getBoundingClientRect(); return Math.max(0, top - innerHeight, -bottom); };
    const turn = () => new Promise((done) => setTimeout(done, 0));
    // Text and answer first.
    await turn();
    let seen = false;
    while (left.size) {
      const [distance, next] = [...left].map((holder) => [away(holder), holder]).reduce((a, b) => (b[0] < a[0] ? b : a));
      if (!seen && distance > 2 * innerHeight) { seen = true; performance.mark("seen"); }
      left.delete(next);
      await draw(next);
      await turn();
    }
    if (!seen) performance.mark("seen");
    performance.mark("drawn");
    document.documentElement.dataset.ready = "yes";
  };
  if (window.vega) start(); else document.documentElement.dataset.ready = "yes";
})();
