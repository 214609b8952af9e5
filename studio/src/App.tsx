// The page: head, the grid or one picture, dialogs, and a file that is dropped anywhere.

import { useEffect, useRef } from "preact/hooks";
import { useComputed, useSignal, useSignalEffect } from "@preact/signals";
import { api, connection, Refused, writing } from "./kit/api";
import { useKeys } from "./kit/keys";
import { go, place } from "./kit/route";
import { announced, complain, openSession, session, setLanguage, setTheme, tell, theme } from "./kit/store";
import { Button, Notices } from "./kit/ui";
import { language, say, t } from "./kit/words";
import { Browse } from "./browse/Browse";
import { askedOf, list } from "./browse/list";
import { ExportDialog } from "./export/ExportDialog";
import { refresh, running } from "./jobs/jobs";
import { RetrainDialog } from "./jobs/RetrainDialog";
import { KeysDialog } from "./KeysDialog";
import { screen } from "./look/screen";

export function App() {
  const dialog = useSignal<"keys" | "retrain" | "export" | null>(null);
  const failed = useSignal<Refused | null>(null);
  const over = useSignal(false);
  const dropping = useSignal<string | null>(null);
  const file = useRef<HTMLInputElement>(null);

  useEffect(() => {
    openSession().then(() => (api.write ? refresh() : undefined), (error: unknown) => {
      if (error instanceof Refused) failed.value = error;
      else complain(error);
    });
  }, []);
  // The list begins again when a filter changes, not when a picture is opened; and when the index has grown.
  const asked = useComputed(() => JSON.stringify(askedOf(place.value.asked)));
  const indexed = useComputed(() => session.value?.indexing?.done ?? -1);
  const ready = useComputed(() => session.value !== null);
  useSignalEffect(() => {
    void indexed.value;
    if (ready.value) list.ask(JSON.parse(asked.value) as Record<string, string>);
  });
  useKeys({ sheet: () => void (dialog.value = "keys") });

  const take = async (files: FileList | null): Promise<void> => {
    for (const one of files ?? []) {
      dropping.value = one.name;
      try {
        const { id, ids } = await writing().drop(one);
        tell(ids && ids.length > 1 ? t("dropped_hands", { name: one.name, n: ids.length }) : t("dropped", { name: one.name }));
        await openSession();
        go({ picture: id, asked: place.value.asked });
      } catch (error) {
        complain(error);
      }
    }
    dropping.value = null;
  };

  const open = session.value;
  const id = place.value.picture;
  if (!open) {
    return (
      <div class="start">
        <Notices />
        {failed.value ? (
          <main class="failed">
            <h1>{failed.value.trouble.message}</h1>
            {failed.value.trouble.remedy && <p>{failed.value.trouble.remedy}</p>}
          </main>
        ) : <p role="status">{connection.value.lost ? "" : t("loading")}</p>}
      </div>
    );
  }
  const LookView = screen.value;
  const takes = open.writable && open.model !== null;
  const at = id === null ? -1 : list.indexOf(id);
  if (at >= 0) list.need(Math.max(0, at - 1), Math.min(list.total.value ?? 0, at + 2));
  const beside = (by: number) => () => (at < 0 ? null : list.row(at + by));
  return (
    <div
      class={`page ${id === null ? "" : "looking"}`}
      onDragOver={(event) => {
        if (!event.dataTransfer?.types.includes("Files")) return;
        event.preventDefault(); // or the browser would leave the page for the file
        over.value = takes;
      }}
      onDragLeave={(event) => {
        if (event.relatedTarget === null) over.value = false;
      }}
      onDrop={(event) => {
        event.preventDefault();
        over.value = false;
        if (takes) void take(event.dataTransfer?.files ?? null);
      }}
    >
      <header class="head">
        <p class="brand"><a href="#/">{open.title ?? "ossa studio"}</a></p>
        <p class="where" title={open.root ?? undefined}>{open.root ? open.root.replace(/^.*[\\/]/, "") : ""}</p>
        {open.model && <p class="model soft">{t("model_is", { name: open.model.name })}</p>}
        {open.indexing && open.indexing.done < open.indexing.total && (
          <p class="soft" role="status">{t("indexing", { done: open.indexing.done, total: open.indexing.total })}</p>
        )}
        <div class="group right">
          {open.writable && (
            <>
              <input ref={file} type="file" hidden accept=".png,.jpg,.jpeg,.tif,.tiff,.bmp,.dcm,application/dicom,image/*" aria-label={t("open_file")} onChange={(event) => { const input = event.currentTarget; void take(input.files).then(() => { input.value = ""; }); }} />
              <Button text label={t("open_file")} disabled={!takes} onClick={() => file.current?.click()} />
              <Button text label={t("export")} onClick={() => (dialog.value = "export")} />
              <Button text label={running.value ? t("retraining", { n: Math.round(running.value.progress * 100) }) : t("retrain")} onClick={() => (dialog.value = "retrain")} />
            </>
          )}
          {open.languages.length > 1 && (
            <button type="button" class="button" lang={language.value === "en" ? "ko" : "en"} onClick={() => setLanguage(language.value === "en" ? "ko" : "en")}>
              {language.value === "en" ? "한국어" : "English"}
            </button>
          )}
          <Button icon="light" label={t("dim")} pressed={theme.value === "dark"} onClick={() => setTheme(theme.value === "dark" ? "light" : "dark")} />
          <Button icon="keys" label={t("keys")} shortcut="?" onClick={() => (dialog.value = "keys")} />
        </div>
      </header>
      {id === null ? <Browse /> : !LookView ? <p class="cover" role="status">{t("loading")}</p> : <LookView key={id} id={id} neighbours={{ before: beside(-1), after: beside(1) }} />}
      <footer class="notice-line">
        <span>{say(open.notice)}</span>
        <a href={`${import.meta.env.BASE_URL}licences.txt`}>{t("licences")}</a>
        <span class="soft">{open.version}</span>
      </footer>
      <Notices />
      {dropping.value && <div class="notices low"><p class="notice good" role="status">{t("predicting", { name: dropping.value })}</p></div>}
      {over.value && <div class="drop"><p>{t("drop_here")}</p></div>}
      {dialog.value === "keys" && <KeysDialog onClose={() => (dialog.value = null)} />}
      {dialog.value === "export" && <ExportDialog onClose={() => (dialog.value = null)} />}
      {dialog.value === "retrain" && <RetrainDialog onClose={() => (dialog.value = null)} />}
      <div class="spoken" aria-live="polite">{announced.value}</div>
    </div>
  );
}
