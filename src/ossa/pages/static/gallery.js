"use strict";
// The gallery page. OSSA (data.js) holds what the grid needs; outlines of one picture come from items/N.js when
// it is opened (a script element works from the disk, where fetch does not). Names only ever become text nodes.
(() => {
  const data = window.OSSA;
  const at = (id) => document.getElementById(id);
  const make = (tag, className, text) => {
    const node = document.createElement(tag);
    if (className) node.className = className;
    if (text !== undefined) node.textContent = text;
    return node;
  };
  const option = (select, value, text) => {
    const node = make("option", "", text);
    node.value = value;
    select.append(node);
  };
  const rgb = (c) => `rgb(${c[0]},${c[1]},${c[2]})`;
  const outlines = new Map();
  window.OSSA.item = (number, parts) => outlines.set(number, parts);

  // ---- the grid ------------------------------------------------------------------------------------------------
  document.title = data.title;
  at("title").textContent = data.title;
  const all = -1, lowest = -2;
  data.metrics.forEach((m, i) => option(at("metric"), String(i), m.label));
  for (const key of ["name", "subject", "side", "fold", "flags"]) option(at("metric"), key, key === "flags" ? "number of flags" : key);
  option(at("bone"), String(all), "all bones (mean)");
  option(at("bone"), String(lowest), "the worst bone");
  data.bones.forEach((b, i) => option(at("bone"), String(i), b.title === b.name ? b.name : `${b.name} (${b.title})`));
  const filters = { side: (d) => [d.side], fold: (d) => [d.fold], flag: (d) => d.flags };
  for (const [id, read] of Object.entries(filters)) {
    const values = [...new Set(data.items.flatMap(read))].filter((v) => v !== "").sort();
    option(at(id), "", "any");
    if (id === "flag" && values.length) { option(at(id), "+", "flagged"); option(at(id), "-", "not flagged"); }
    values.forEach((v) => option(at(id), "=" + v, v.length > 60 ? v.slice(0, 58) + "\u2026" : v));
    at(id).parentElement.hidden = values.length === 0;
  }
  if (data.metrics.length === 0) at("bone").parentElement.hidden = true;

  const state = { reversed: false, order: [], open: -1, set: 0, bones: data.bones.map(() => true), zoom: 1, x: 0, y: 0 };

  function score(item, metric, bone) {
    const row = item.values[metric];
    if (!row) return null;
    if (bone >= 0) return row[bone];
    const known = row.filter((v) => v !== null);
    if (!known.length) return null;
    if (bone === all) return known.reduce((a, b) => a + b, 0) / known.length;
    return data.metrics[metric].higher ? Math.min(...known) : Math.max(...known);
  }
  const shown = (value, metric) => (value === null || value === undefined) ? "\u2013" : (value / data.metrics[metric].unit).toFixed(data.metrics[metric].digits);

  function arrange() {
    const metric = at("metric").value, bone = Number(at("bone").value), words = at("search").value.toLowerCase();
    const byScore = /^\d+$/.test(metric);
    at("bone").disabled = !byScore;
    at("direction").textContent = byScore ? (state.reversed ? "best first" : "worst first") : (state.reversed ? "Z to A" : "A to Z");
    const passes = (item) => Object.entries(filters).every(([id, read]) => {
      const wanted = at(id).value, values = read(item);
      if (wanted === "") return true;
      if (wanted === "+") return values.length > 0;
      if (wanted === "-") return values.length === 0;
      return values.includes(wanted.slice(1));
    }) && (words === "" || (item.name + " " + item.subject).toLowerCase().includes(words));
    const chosen = data.items.map((item, i) => i).filter((i) => passes(data.items[i]));
    const key = new Map(chosen.map((i) => {
      const item = data.items[i];
      if (byScore) return [i, score(item, Number(metric), bone)];
      return [i, metric === "flags" ? -item.flags.length : item[metric]];
    }));
    const sign = (state.reversed ? -1 : 1) * (byScore && !data.metrics[Number(metric)].higher ? -1 : 1);
    chosen.sort((a, b) => {
      const p = key.get(a), q = key.get(b);
      if (p === null || q === null) return (p === null) - (q === null) || a - b;  // without a score: last
      const c = typeof p === "number" ? p - q : String(p).localeCompare(String(q), undefined, { numeric: true });
      return sign * c || a - b;
    });
    state.order = chosen;
    at("count").textContent = `${chosen.length} of ${data.items.length} pictures`;
    at("grid").replaceChildren(...chosen.map((i) => card(i, byScore ? Number(metric) : -1, key.get(i))));
  }

  function card(i, metric, value) {
    const item = data.items[i], node = make("button", "card");
    node.type = "button";
    node.dataset.item = String(i);
    if (item.error) node.append(make("span", "none", "cannot be read"));
    else {
      const img = make("img");
      img.loading = "lazy";
      img.alt = item.name;
      img.src = `thumbs/${item.file}.jpg`;
      node.append(img);
    }
    const line = make("span", "line");
    // A long name is cut in its middle, as the card's width asks: numbers and sides stand at its end.
    const label = make("span", "label");
    label.append(make("span", "head", item.name.slice(0, -10)), make("span", "tail", item.name.slice(-10)));
    line.append(label);
    if (metric >= 0) line.append(make("span", "score", shown(value, metric)));
    node.append(line);
    const small = [item.subject, item.side, item.fold && `fold ${item.fold}`].filter((s) => s && s !== item.name).join(" \u00b7 ");
    const foot = make("span", "small", small);
    if (item.flags.length) foot.append(make("span", "flagged", `${small ? " \u00b7 " : ""}\u2691 ${item.flags.length}`));
    node.append(foot);
    node.title = [item.name, ...item.flags].join("\n");
    node.addEventListener("click", () => open(i));
    return node;
  }

  // ---- the viewer ----------------------------------------------------------------------------------------------
  const canvas = at("canvas"), pen = canvas.getContext("2d");
  const sheet = document.createElement("canvas");
  let picture = null;
  const layer = (name) => at(`show-${name}`);
  data.sets.forEach((s, i) => option(at("set"), String(i), s));
  at("set-row").hidden = data.sets.length < 2;
  layer("prediction").parentElement.hidden = data.sets.length === 0;
  layer("truth").parentElement.hidden = !data.truth;
  layer("difference").parentElement.hidden = !data.truth || data.sets.length === 0;
  layer("truth").checked = data.truth;
  layer("prediction").checked = data.sets.length > 0;

  const rows = data.bones.map((bone, i) => {
    const label = make("label"), box = make("input"), swatch = make("span", "swatch"), value = make("span", "value");
    box.type = "checkbox";
    box.checked = true;
    swatch.style.background = rgb(bone.colour);
    label.append(box, swatch, document.createTextNode(bone.name), value);
    label.title = bone.title;
    box.addEventListener("change", () => { state.bones[i] = box.checked; draw(); });
    at("bones").append(label);
    return { box, value };
  });
  const setBones = (wanted) => { data.bones.forEach((b, i) => { state.bones[i] = wanted(b); rows[i].box.checked = state.bones[i]; }); draw(); };
  const group = (text, wanted) => { const b = make("button", "", text); b.type = "button"; b.addEventListener("click", () => setBones(wanted)); at("groups").append(b); };
  group("all", () => true);
  group("none", () => false);
  for (const row of [...new Set(data.bones.map((b) => b.row))].filter((r) => r)) group(row, (b) => b.row === row);

  function open(i) {
    state.open = i;
    const item = data.items[i];
    at("viewer").hidden = false;
    at("name").textContent = item.name;
    at("facts").textContent = [item.subject && `subject ${item.subject}`, item.side && `side ${item.side}`, item.fold && `fold ${item.fold}`, item.width && `${item.width} \u00d7 ${item.height} px`].filter(Boolean).join(", ");
    at("flags").replaceChildren(...item.flags.map((f) => make("li", "", f)));
    at("trouble").hidden = !item.error;
    at("trouble").textContent = item.error || "";
    picture = null;
    state.zoom = 1; state.x = 0; state.y = 0;
    numbers();
    draw();
    if (item.error) return;
    const loaded = new Image();
    loaded.onload = () => { if (state.open === i) { picture = loaded; draw(); } };
    loaded.src = `images/${item.file}.jpg`;
    if (!outlines.has(i)) {
      const script = document.createElement("script");
      script.src = `items/${item.file}.js`;
      script.onload = () => { if (state.open === i) draw(); script.remove(); };
      document.head.append(script);
    }
    at("close").focus({ preventScroll: true });
  }
  function close() {
    const last = state.open;
    state.open = -1;
    at("viewer").hidden = true;
    document.querySelector(`.card[data-item="${last}"]`)?.focus({ preventScroll: false });
  }
  function step(by) {
    const where = state.order.indexOf(state.open) + by;
    if (where >= 0 && where < state.order.length) open(state.order[where]);
  }
  function numbers() {
    const item = data.items[state.open];
    let metric = data.metrics.findIndex((m) => m.set === state.set);
    if (metric < 0) metric = data.metrics.length ? 0 : -1;
    rows.forEach((row, b) => {
      const value = metric < 0 || !item.values[metric] ? null : item.values[metric][b];
      row.value.textContent = metric < 0 ? "" : shown(value, metric);
      row.value.className = metric >= 0 && value !== null && data.metrics[metric].bad !== null && value < data.metrics[metric].bad ? "value bad" : "value";
    });
  }

  function path(parts, to) {
    const p = new Path2D(), q = data.quantum;
    for (const rings of parts) for (const ring of rings) {
      for (let k = 0; k < ring.length; k += 2) {
        const x = (ring[k] / q + 0.5) * to.scale + to.x, y = (ring[k + 1] / q + 0.5) * to.scale + to.y;
        if (k === 0) p.moveTo(x, y); else p.lineTo(x, y);
      }
      p.closePath();
    }
    return p;
  }
  function difference(a, b, colour, to) {
    if (sheet.width !== canvas.width || sheet.height !== canvas.height) { sheet.width = canvas.width; sheet.height = canvas.height; }
    const ink = sheet.getContext("2d");
    ink.globalCompositeOperation = "source-over";
    ink.clearRect(0, 0, sheet.width, sheet.height);
    ink.fillStyle = colour;
    if (a) ink.fill(path(a, to), "evenodd");
    ink.globalCompositeOperation = "destination-out";
    if (b) ink.fill(path(b, to), "evenodd");
    pen.globalAlpha = 0.75;
    pen.drawImage(sheet, 0, 0);
    pen.globalAlpha = 1;
  }
  function draw() {
    if (state.open < 0) return;
    const ratio = window.devicePixelRatio || 1, box = at("stage").getBoundingClientRect();
    canvas.width = Math.max(1, Math.round(box.width * ratio));
    canvas.height = Math.max(1, Math.round(box.height * ratio));
    const item = data.items[state.open], fit = Math.min(canvas.width / (item.shownWidth || 1), canvas.height / (item.shownHeight || 1));
    const scale = fit * state.zoom;
    const to = { scale, x: (canvas.width - item.shownWidth * scale) / 2 + state.x * ratio, y: (canvas.height - item.shownHeight * scale) / 2 + state.y * ratio };
    if (picture && layer("image").checked) pen.drawImage(picture, to.x, to.y, item.shownWidth * scale, item.shownHeight * scale);
    const parts = outlines.get(state.open);
    const both = layer("truth").checked && layer("prediction").checked && data.truth && data.sets.length > 0;
    const legend = [];
    if (parts) {
      const truth = parts.truth || {}, found = (parts.sets && parts.sets[state.set]) || {};
      data.bones.forEach((bone, b) => {
        if (!state.bones[b]) return;
        const t = truth[b], p = found[b], judged = parts.truth && !(parts.unknown || []).includes(b);
        if (layer("difference").checked && data.sets.length && judged) { difference(t, p, "#2f9bff", to); difference(p, t, "#ff5a36", to); }
        pen.lineWidth = 1.5 * ratio;
        if (layer("truth").checked && t) { pen.strokeStyle = both ? "#ffffff" : rgb(bone.colour); pen.stroke(path(t, to)); }
        if (layer("prediction").checked && p && data.sets.length) { pen.strokeStyle = rgb(bone.colour); pen.stroke(path(p, to)); }
      });
    }
    if (both) legend.push("white: truth; coloured: prediction");
    if (layer("difference").checked && data.truth) legend.push("blue: missed; red: too much");
    at("legend").textContent = legend.join(". ");
    at("viewer").dataset.drawn = parts && picture ? String(state.open) : "";
  }

  // ---- hands ---------------------------------------------------------------------------------------------------
  for (const id of ["metric", "bone", "side", "fold", "flag"]) at(id).addEventListener("change", arrange);
  at("search").addEventListener("input", arrange);
  at("direction").addEventListener("click", () => { state.reversed = !state.reversed; arrange(); });
  at("close").addEventListener("click", close);
  at("previous").addEventListener("click", () => step(-1));
  at("next").addEventListener("click", () => step(1));
  at("set").addEventListener("change", () => { state.set = Number(at("set").value); numbers(); draw(); });
  for (const name of ["image", "truth", "prediction", "difference"]) layer(name).addEventListener("change", draw);
  window.addEventListener("resize", draw);
  document.addEventListener("keydown", (event) => {
    if (state.open < 0 || event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "SELECT") return;
    const toggle = { i: "image", t: "truth", p: "prediction", d: "difference" }[event.key];
    if (event.key === "Escape") close();
    else if (event.key === "ArrowLeft") step(-1);
    else if (event.key === "ArrowRight") step(1);
    else if (toggle && !layer(toggle).parentElement.hidden) { layer(toggle).checked = !layer(toggle).checked; draw(); }
    else return;
    event.preventDefault();
  });
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    const box = canvas.getBoundingClientRect(), factor = Math.exp(-event.deltaY * 0.0015);
    const zoom = Math.min(40, Math.max(1, state.zoom * factor)), by = zoom / state.zoom;
    const cx = event.clientX - box.left - box.width / 2, cy = event.clientY - box.top - box.height / 2;
    state.x = cx - (cx - state.x) * by;
    state.y = cy - (cy - state.y) * by;
    state.zoom = zoom;
    if (zoom === 1) { state.x = 0; state.y = 0; }
    draw();
  }, { passive: false });
  let from = null;
  canvas.addEventListener("pointerdown", (event) => { from = [event.clientX - state.x, event.clientY - state.y]; canvas.setPointerCapture(event.pointerId); });
  canvas.addEventListener("pointermove", (event) => { if (from) { state.x = event.clientX - from[0]; state.y = event.clientY - from[1]; draw(); } });
  canvas.addEventListener("pointerup", () => { from = null; });
  canvas.addEventListener("dblclick", () => { state.zoom = 1; state.x = 0; state.y = 0; draw(); });
  arrange();
})();
