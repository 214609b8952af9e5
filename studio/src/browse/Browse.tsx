// The grid of all pictures: filters above, as many cards as show below, however many pictures there are.

import { useEffect, useRef, useState } from "preact/hooks";
import { useSignal, useSignalEffect } from "@preact/signals";
import { api } from "../kit/api";
import { useKeys } from "../kit/keys";
import { go, place } from "../kit/route";
import { announced, flagText, session, titleOf } from "../kit/store";
import { Button, Choice, dice, Field } from "../kit/ui";
import { t, type Word } from "../kit/words";
import type { Row } from "../kit/types";
import { drafts } from "../edit/drafts";
import { openDoubtful } from "../look/doubtful";
import { layOut, moved, visible } from "./layout";
import { askedOf, list } from "./list";
import { sideText } from "./side";

const CARD = 168;
const CAPTION = 58;

/** Where the grid was when a picture was opened. */
const left = { top: 0, at: 0 };

export function Browse() {
  const asked = askedOf(place.value.asked);
  const search = useRef<HTMLInputElement>(null);
  const unfolded = useSignal(false);
  useKeys({
    search: () => search.current?.focus(),
    doubtful: () => !session.value?.lacks?.includes("doubtful") && void openDoubtful(null, asked.source ?? null),
  });
  useEffect(() => {
    document.title = session.value?.title ?? "ossa studio";
  }, []);
  const total = list.total.value;
  const active = Object.keys(asked).filter((name) => !["sort", "order", "source", "against"].includes(name)).length;
  return (
    <main class="browse">
      <div class={`filters ${unfolded.value ? "unfolded" : ""}`} role="search" aria-label={t("filters")}>
        <Field label={t("search")}>
          <input
            ref={search} type="search" value={asked.search ?? ""} placeholder={t("search_hint")}
            onInput={(event) => later(() => ask({ search: (event.target as HTMLInputElement).value }))}
          />
        </Field>
        <Button icon="filter" text label={active ? t("filters_n", { n: active }) : t("filters")} pressed={unfolded.value} onClick={() => (unfolded.value = !unfolded.value)} />
        <Filters asked={asked} />
        <p class="count" role="status">{total === null ? t("loading") : t("pictures", { n: total.toLocaleString() })}</p>
      </div>
      <Drafts />
      {total === 0 ? (
        <div class="empty">
          <h1>{t("no_pictures")}</h1>
          <p>{active ? t("no_pictures_filters") : t("no_pictures_folder")}</p>
          {active > 0 && <Button kind="main" text label={t("reset")} onClick={reset} />}
        </div>
      ) : (
        <Cards />
      )}
    </main>
  );
}

let timer: ReturnType<typeof setTimeout> | undefined;
function later(action: () => void): void {
  clearTimeout(timer);
  timer = setTimeout(action, 200);
}

function ask(change: Record<string, string>): void {
  left.top = left.at = 0;
  go({ picture: null, asked: { ...place.value.asked, ...change } }, true);
}
const reset = (): void => {
  left.top = left.at = 0;
  go({ picture: null, asked: {} }, true);
};

function Filters({ asked }: { asked: Record<string, string> }) {
  const open = session.value!;
  const any = { value: "", text: t("any") };
  const sort = asked.sort ?? "name";
  const optionsOf = (all: typeof open.sources) => all.map((source) => ({ value: source.id, text: source.title }));
  const sources = optionsOf(open.sources);
  const against = optionsOf(open.against ?? open.sources);
  const numbers = ["score", "confidence", "area"].includes(sort);
  const sorts: [string, Word, boolean][] = [
    ["name", "sort_name", true], ["score", "sort_score", against.length > 0], ["confidence", "sort_confidence", true], ["area", "sort_area", true],
    ["subject", "subject", true], ["side", "side", open.sides.length > 0], ["fold", "fold", open.folds.length > 0], ["flags", "sort_flags", open.flags.length > 0],
  ];
  const flags = open.flags.map((flag) => {
    const [value, text] = typeof flag === "string" ? [flag, flagText(flag)] : [flag.code, flagText(flag.code)];
    return { value, text: text.length > 60 ? `${text.slice(0, 58)}…` : text };
  });
  const letters = !numbers && sort !== "flags";
  return (
    <>
      <Choice label={t("sort")} value={sort} options={sorts.filter(([, , there]) => there).map(([value, word]) => ({ value, text: t(word) }))} onChange={(value) => ask({ sort: value })} />
      <Choice
        label={t("order")} value={asked.order ?? "asc"}
        options={[{ value: "asc", text: t(letters ? "order_az" : "order_low") }, { value: "desc", text: t(letters ? "order_za" : "order_high") }]}
        onChange={(value) => ask({ order: value })}
      />
      {numbers && (
        <Choice
          label={t("bone")} value={asked.bone ?? ""}
          options={[{ value: "", text: t("all_bones") }, ...(sort === "area" ? [] : [{ value: "worst", text: t("worst_bone") }]), ...open.bones.map((bone) => ({ value: bone.name, text: `${titleOf(bone.name)} (${bone.name})` }))]}
          onChange={(value) => ask({ bone: value })}
        />
      )}
      {sources.length > 1 && <Choice label={t("source")} value={asked.source ?? ""} options={[{ value: "", text: t("automatic") }, ...sources]} onChange={(value) => ask({ source: value })} />}
      {against.length > 1 && <Choice label={t("compared_with")} value={asked.against ?? ""} options={[{ value: "", text: t("automatic") }, ...against]} onChange={(value) => ask({ against: value })} />}
      {open.sides.length > 0 && <Choice label={t("side")} value={asked.side ?? ""} options={[any, ...open.sides.map((side) => ({ value: side, text: sideText(side) }))]} onChange={(value) => ask({ side: value })} />}
      {open.folds.length > 0 && <Choice label={t("fold")} value={asked.fold ?? ""} options={[any, ...open.folds.map((fold) => ({ value: String(fold), text: String(fold) }))]} onChange={(value) => ask({ fold: value })} />}
      {flags.length > 0 && <Choice label={t("warning")} value={asked.flag ?? ""} options={[any, { value: "+", text: t("flagged") }, { value: "-", text: t("not_flagged") }, ...flags]} onChange={(value) => ask({ flag: value })} />}
      {!open.lacks?.includes("history") && <Choice label={t("corrected")} value={asked.corrected ?? ""} options={[any, { value: "true", text: t("yes") }, { value: "false", text: t("no") }]} onChange={(value) => ask({ corrected: value })} />}
      <Field label={t("subject")}>
        <input type="text" value={asked.subject ?? ""} onInput={(event) => later(() => ask({ subject: (event.target as HTMLInputElement).value }))} />
      </Field>
      <Button text label={t("reset")} disabled={Object.keys(asked).length === 0} onClick={reset} />
    </>
  );
}

/** Corrections that were never saved. */
function Drafts() {
  const found = session.value?.writable ? drafts() : [];
  if (found.length === 0) return null;
  return (
    <div class="drafts">
      <p><strong>{t("drafts", { n: found.length })}</strong></p>
      {found.slice(0, 5).map((draft) => (
        <button key={draft.picture} type="button" class="chip" onClick={() => go({ picture: draft.picture, asked: place.value.asked })}>{draft.name}</button>
      ))}
    </div>
  );
}

function Cards() {
  const at = useRef<HTMLDivElement>(null);
  const size = useSignal({ width: 0, height: 0 });
  const top = useSignal(left.top);
  const active = useSignal(left.at);
  const total = list.total.value ?? 0;
  const narrow = size.value.width < 480;
  const grid = layOut(total, Math.max(1, size.value.width - 32), narrow ? 130 : CARD, CAPTION);
  const [first, end] = visible(grid, total, top.value - 16, size.value.height);
  list.arrived.value; // a new page draws again

  useEffect(() => {
    const node = at.current!;
    const watch = new ResizeObserver(() => {
      size.value = { width: node.clientWidth, height: node.clientHeight };
    });
    watch.observe(node);
    size.value = { width: node.clientWidth, height: node.clientHeight };
    return () => watch.disconnect();
  }, []);
  useEffect(() => {
    if (size.value.width && at.current && Math.abs(at.current.scrollTop - left.top) > 1) at.current.scrollTop = left.top;
  }, [size.value.width > 0, total]);
  useEffect(() => list.need(first, end), [first, end, total]);
  useSignalEffect(() => {
    left.at = active.value;
  });

  const show = (n: number): void => {
    const node = at.current!;
    const y = Math.floor(n / grid.columns) * grid.row + 16;
    if (y < node.scrollTop) node.scrollTop = y - 16;
    else if (y + grid.row > node.scrollTop + node.clientHeight) node.scrollTop = y + grid.row - node.clientHeight + 4;
  };
  const keydown = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Enter" || event.key === " ") {
      const row = list.row(active.value);
      if (row) open(row, active.value);
      event.preventDefault();
      return;
    }
    const to = moved(event.key, active.value, total, grid.columns, Math.max(1, Math.floor(size.value.height / grid.row)));
    if (to === null) return;
    event.preventDefault();
    active.value = to;
    show(to);
    const row = list.row(to);
    if (row) announced.value = row.name;
  };
  const open = (row: Row, n: number): void => {
    left.at = n;
    go({ picture: row.id, asked: place.value.asked });
  };

  const cards = [];
  for (let n = first; n < end; n++) {
    const row = list.row(n);
    const x = 16 + (n % grid.columns) * (grid.card + 12);
    const y = 16 + Math.floor(n / grid.columns) * grid.row;
    cards.push(
      <Card key={row ? row.id : `-${n}`} n={n} row={row} total={total} x={x} y={y} width={grid.card} active={n === active.value} onOpen={() => row && open(row, n)} />,
    );
  }
  return (
    <div
      ref={at} class="cards" role="listbox" tabIndex={0} data-own-keys aria-label={t("pictures_list")} aria-activedescendant={total ? `card-${active.value}` : undefined}
      onScroll={(event) => {
        top.value = left.top = event.currentTarget.scrollTop;
      }}
      onKeyDown={keydown}
    >
      {cards}
      <div class="height" role="presentation" ref={(node) => { if (node) node.style.height = `${grid.height + 32}px`; }} />
    </div>
  );
}

interface CardProps {
  n: number;
  row: Row | null;
  total: number;
  x: number;
  y: number;
  width: number;
  active: boolean;
  onOpen: () => void;
}

function Card({ n, row, total, x, y, width, active, onOpen }: CardProps) {
  const value = row ? (row.score !== null ? `Dice ${dice(row.score)}` : row.confidence !== null ? row.confidence.toFixed(2) : "") : "";
  const [broken, setBroken] = useState(false);
  const short = row?.name.replace(/^.*\//, "") ?? " ";
  const facts = row ? [row.subject, row.side && sideText(row.side), row.fold !== null && row.fold !== undefined && row.fold !== "" ? t("fold_n", { n: row.fold }) : null].filter(Boolean).join(" · ") : "";
  return (
    <div
      id={`card-${n}`} class={`card ${active ? "active" : ""}`} role="option" aria-selected={active} aria-setsize={total} aria-posinset={n + 1}
      aria-label={row ? undefined : t("loading")}
      ref={(node) => { if (node) Object.assign(node.style, { transform: `translate(${x}px, ${y}px)`, width: `${width}px` }); }}
      onClick={onOpen}
    >
      <div class="thumb" ref={(node) => { if (node) node.style.height = `${width}px`; }}>
        {row && (row.error || broken ? <p class="none">{t("cannot_read")}</p> : (
          <img src={api.thumb(row.id)} alt="" loading="lazy" decoding="async" draggable={false} onError={() => setBroken(true)} />
        ))}
        {row?.corrected && <span class="badge">{t("corrected")}</span>}
        {row && row.flags.length > 0 && <span class="flagged" title={row.flags.map(flagText).join("\n")}>{row.flags.length}<span class="spoken"> {t("warnings")}</span></span>}
      </div>
      <p class="line"><span class="name ends" title={row?.name}><span>{short.slice(0, -9)}</span><span>{short.slice(-9)}</span></span></p>
      <p class="line soft"><span class="name">{facts}</span>{value && <span class="value">{value}</span>}</p>
    </div>
  );
}
