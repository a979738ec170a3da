// The coordinator's page: follows /api/v1/events, draws /api/v1/history, and shows the lists.
//
// Names of crates, workers and clients are other people's. They reach the page as text alone (textContent), without
// characters that turn the direction of text; nothing here makes markup of a string.
"use strict";
(() => {
  const ROWS = 100; // of a table; how many more there are is said
  const LIST_MS = 3000;
  const $ = (id) => document.getElementById(id);
  let span = "seconds";
  let charts = [];
  let history = null;
  let workers = null;
  let retryMs = 1000;

  // ---- words and numbers

  const strange = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;
  const word = (s) => {
    const clean = String(s).replace(strange, "?");
    return clean.length > 120 ? clean.slice(0, 119) + "…" : clean;
  };
  const count = (n) => Math.round(n).toLocaleString("en");
  const seconds = (s) =>
    s < 0.9995 ? `${Math.round(s * 1000)} ms`
    : s < 99.95 ? `${s.toFixed(1)} s`
    : s < 5999 ? `${Math.round(s / 60)} min`
    : s < 172800 ? `${(s / 3600).toFixed(1)} h`
    : `${Math.round(s / 86400)} days`;
  const bytes = (n) => {
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let i = 0;
    for (; n >= 1024 && i < units.length - 1; i++) n /= 1024;
    return `${i && n < 99.95 ? n.toFixed(1) : Math.round(n)} ${units[i]}`;
  };
  const share = (part, whole) => (whole > 0 ? `${((100 * part) / whole).toFixed(1)} %` : "–");
  const moment = (ms) => new Date(ms).toLocaleTimeString("en-GB");

  // ---- elements

  const make = (tag, text, name) => {
    const e = document.createElement(tag);
    if (text !== undefined) e.textContent = text;
    if (name) e.className = name;
    return e;
  };
  const say = (id, text) => {
    if ($(id).textContent !== text) $(id).textContent = text;
  };
  // columns: [heading, text of a row, class]
  const table = (id, columns, rows, none) => {
    const head = make("tr");
    for (const [title, , name] of columns) {
      const th = make("th", title, name);
      th.scope = "col";
      head.append(th);
    }
    const body = rows.slice(0, ROWS).map((row) => {
      const tr = make("tr");
      for (const [, text, name] of columns) tr.append(make("td", text(row), name));
      return tr;
    });
    if (!rows.length) {
      const td = make("td", none, "soft");
      td.colSpan = columns.length;
      const tr = make("tr");
      tr.append(td);
      body.push(tr);
    }
    const thead = make("thead"), tbody = make("tbody");
    thead.append(head);
    tbody.append(...body);
    $(id).replaceChildren(thead, tbody);
  };

  // ---- now

  const tile = (value, ...notes) => {
    const t = make("div", undefined, "tile");
    t.append(make("b", value), ...notes.map((n) => make("span", n)));
    return t;
  };
  const showStatus = (s) => {
    const w = s.workers, c = s.cache, hits = c.hits_disk + c.hits_store;
    const odd = ["shunned", "probed", "leaving", "drained"].filter((k) => w[k]).map((k) => `${count(w[k])} ${k}`);
    const size = c.namespaces.reduce((n, x) => n + x.bytes, 0), limit = c.namespaces.reduce((n, x) => n + x.limit_bytes, 0);
    say("name", word(s.name));
    say("version", `dray ${s.version}`);
    say("up", `for ${seconds(s.up_seconds)}`);
    say("ready", s.ready ? "ready" : `not ready: ${word(s.not_ready)}`);
    $("ready").className = s.ready ? "chip" : "chip bad";
    document.title = `${s.queue.jobs ? `(${s.queue.jobs}) ` : ""}dray ${word(s.name)}`;
    $("tiles").replaceChildren(
      tile(count(w.total), w.total === 1 ? "worker" : "workers", odd.length ? odd.join(", ") : "all ready"),
      tile(`${count(s.slots.used)} / ${count(s.slots.total)}`, "slots in use", share(s.slots.used, s.slots.total)),
      tile(count(s.queue.jobs), s.queue.jobs === 1 ? "job waits" : "jobs wait", `the longest for ${seconds(s.queue.oldest_seconds)}`),
      tile(share(hits, hits + c.misses), "found in the cache", `${count(hits)} of ${count(hits + c.misses)}`),
      tile(seconds(c.saved_seconds), "of compiles saved by the cache", `${bytes(c.sent_bytes)} sent`),
      tile(count(s.jobs.compiled + s.jobs.joined), "units made", `${count(s.jobs.joined)} of them joined`),
      tile(c.has ? bytes(size) : "none", "cache on disk", c.has ? `of ${bytes(limit)}` : "[coordinator] cache is off"),
      tile(count(s.faults), s.faults === 1 ? "fault" : "faults", `${count(s.jobs.denied)} jobs denied`));
    table("shares", [
      ["namespace", (r) => word(r.namespace) || "(none)", "word"],
      ["jobs", (r) => count(r.jobs), "n"],
      ["of the time", (r) => share(r.seconds, s.shares.reduce((n, x) => n + x.seconds, 0)), "n"],
      ["CPU", (r) => seconds(r.cpu_seconds), "n wide"],
      ["hit rate", (r) => share(r.hits, r.hits + r.misses), "n"],
      ["saved", (r) => seconds(r.saved_seconds), "n"],
    ], s.shares, "nobody has asked for anything yet");
    const of = (n, limit, f) => (limit === null ? f(n) : `${f(n)} of ${f(limit)}`);
    table("quotas", [
      ["namespace", (r) => word(r.namespace) || "(none)", "word"],
      ["slots", (r) => of(r.slots, r.slots_limit, count), "n"],
      ["jobs wait", (r) => of(r.queued, r.queue_limit, count), "n"],
      ["put within the hour", (r) => (r.upload_limit_bytes === null ? "–" : of(r.uploaded_bytes, r.upload_limit_bytes, bytes)), "n"],
    ], s.quotas, "there is no namespace");
  };

  // ---- over time

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const rates = (h, key) => h.at_ms.map((t, i) => {
    const ms = i ? t - h.at_ms[i - 1] : 0, d = i ? h[key][i] - h[key][i - 1] : 0;
    return ms > 0 && d >= 0 ? (1000 * d) / ms : null;
  });
  // over the last ten points: one lookup is no rate
  const hitRate = (h) => h.at_ms.map((t, i) => {
    const k = Math.max(0, i - 10), hits = h.hits[i] - h.hits[k], all = hits + h.misses[i] - h.misses[k];
    return all > 0 ? (100 * hits) / all : null;
  });
  const plans = {
    "chart-pool": {
      series: [["in use", "--a"], ["slots", "--c"], ["waiting", "--b"]],
      data: (h) => [h.used, h.slots, h.queued], value: count,
    },
    "chart-hits": { series: [["hits", "--c"]], data: (h) => [hitRate(h)], value: (n) => `${n.toFixed(0)} %`, max: 100 },
    "chart-bytes": {
      series: [["sent", "--a"], ["received", "--b"]],
      data: (h) => [rates(h, "sent_bytes"), rates(h, "received_bytes")], value: bytes,
    },
  };
  const draw = () => {
    if (!history) return;
    for (const c of charts) c.destroy();
    const h = history[span], axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
    charts = Object.entries(plans).map(([id, plan]) => new uPlot({
      width: Math.max(200, $(id).clientWidth), height: 180,
      cursor: { drag: { x: false, y: false } },
      scales: { y: { range: (u, low, high) => [0, plan.max || Math.max(1, high * 1.1)] } },
      axes: [axis, { ...axis, size: 62, values: (u, v) => v.map((n) => plan.value(n)) }],
      series: [{}, ...plan.series.map(([label, name]) => ({
        label, stroke: colour(name), width: 1.5, points: { show: false }, spanGaps: id === "chart-hits",
        value: (u, n) => (n == null ? "–" : plan.value(n)),
      }))],
    }, [h.at_ms.map((t) => t / 1000), ...plan.data(h)], $(id)));
  };
  const redraw = () => {
    const h = history[span];
    Object.values(plans).forEach((plan, i) => charts[i].setData([h.at_ms.map((t) => t / 1000), ...plan.data(h)]));
  };

  // ---- lists

  const order = { shunned: 0, probed: 1, drained: 2, leaving: 3, ready: 4 };
  const showWorkers = () => {
    if (!workers) return;
    const wanted = $("filter").value.toLowerCase();
    const rows = workers.workers.filter((w) => w.name.toLowerCase().includes(wanted) || w.state.includes(wanted))
      .sort((a, b) => order[a.state] - order[b.state] || b.used / b.slots - a.used / a.slots || (a.name < b.name ? -1 : 1));
    const shown = Math.min(rows.length, ROWS), all = workers.workers.length + workers.more;
    say("workers-note", shown < all ? `${count(shown)} of ${count(all)}; those that are not ready come first` : "");
    table("workers", [
      ["name", (w) => word(w.name), "word"],
      ["state", (w) => w.state],
      ["slots", (w) => `${w.used} / ${w.slots}`, "n"],
      ["jobs", (w) => count(w.jobs), "n"],
      ["failed", (w) => count(w.failed), "n wide"],
      ["load", (w) => `${w.load_percent} %`, "n wide"],
      ["memory", (w) => bytes(w.memory_bytes), "n wide"],
      ["heard", (w) => seconds(w.heard_seconds), "n"],
    ], rows, "no worker is connected");
  };
  const showQueue = (q) => {
    table("clients", [
      ["client", (c) => word(c.name) || "(no name)", "word"],
      ["namespace", (c) => word(c.namespace) || "(none)", "word wide"],
      ["waiting", (c) => count(c.queued), "n"],
      ["slots", (c) => count(c.slots), "n"],
    ], q.clients.sort((a, b) => b.queued - a.queued || b.slots - a.slots), "nobody waits");
    const all = q.jobs.length + q.more;
    say("queue-note", all ? `${count(all)} jobs wait; the oldest:` : "");
    table("queue", [
      ["crate", (j) => word(j.crate) || "?", "word"],
      ["kind", (j) => word(j.kind), "wide"],
      ["client", (j) => word(j.client), "word"],
      ["for", (j) => seconds(j.age_seconds), "n"],
    ], q.jobs.slice(0, 20), "no job waits");
  };
  const lists = {
    workers: (w) => { workers = w; showWorkers(); },
    queue: showQueue,
    slowest: (s) => table("slowest", [
      ["crate", (u) => word(u.crate), "word"],
      ["kind", (u) => word(u.kind), "wide"],
      ["longest", (u) => seconds(u.longest_seconds), "n"],
      ["last", (u) => seconds(u.last_seconds), "n"],
      ["runs", (u) => count(u.runs), "n"],
    ], s.units, "nothing was compiled in the last day"),
    faults: (f) => table("faults", [
      ["at", (x) => moment(x.at_ms), "n"],
      ["cause", (x) => x.cause.replaceAll("_", " ")],
      ["worker", (x) => word(x.worker), "word"],
      ["crate", (x) => word(x.crate), "word wide"],
      ["what", (x) => word(x.text), "word"],
    ], f.faults, "none"),
    jobs: (j) => {
      say("running-note", j.more ? `${count(j.more)} more run` : "");
      table("running", [
        ["crate", (x) => word(x.crate) || "?", "word"],
        ["kind", (x) => word(x.kind), "wide"],
        ["worker", (x) => word(x.worker), "word"],
        ["client", (x) => word(x.client), "word wide"],
        ["for", (x) => seconds(x.held_seconds), "n"],
      ], j.running, "nothing runs");
    },
    history: (h) => {
      const first = !history;
      history = h;
      if (first) draw();
      else redraw();
    },
  };
  const load = async (name) => {
    const answer = await fetch(`/api/v1/${name}`, { credentials: "same-origin" });
    if (answer.status === 401) throw new Error("the token is needed again: /login?token=…");
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    lists[name](await answer.json());
  };
  const loadAll = async () => {
    if (!document.hidden) {
      try {
        for (const name of Object.keys(lists)) await load(name);
        document.body.dataset.shown = "yes";
      } catch (e) {
        say("live", `cannot read: ${e.message}`);
      }
    }
    setTimeout(loadAll, LIST_MS);
  };

  // ---- follows

  const follow = () => {
    const events = new EventSource("/api/v1/events");
    events.addEventListener("status", (e) => {
      retryMs = 1000;
      say("live", "live");
      showStatus(JSON.parse(e.data));
    });
    events.addEventListener("fault", () => load("faults").catch(() => {}));
    events.addEventListener("error", () => {
      say("live", "the coordinator does not answer; trying again");
      if (events.readyState !== EventSource.CLOSED) return;
      setTimeout(follow, retryMs);
      retryMs = Math.min(30000, 2 * retryMs);
    });
  };
  for (const name of ["seconds", "minutes"])
    $(`span-${name}`).addEventListener("click", () => {
      span = name;
      for (const n of ["seconds", "minutes"]) $(`span-${n}`).setAttribute("aria-pressed", String(n === name));
      draw();
    });
  $("filter").addEventListener("input", showWorkers);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth !== width) draw();
    width = innerWidth;
  });
  follow();
  loadAll();
})();
