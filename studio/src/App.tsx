// The page: head, the grid or one picture, dialogs, and a file that is dropped anywhere.

import { useEffect, useRef } from "preact/hooks";
import { signal, useComputed, useSignal, useSignalEffect } from "@preact/signals";
import { api, connection, Refused } from "./kit/api";
import { useKeys } from "./kit/keys";
import { go, place } from "./kit/route";
import { announced, complain, openSession, session, setLanguage, setTheme, tell, theme } from "./kit/store";
import { Button, Notices } from "./kit/ui";
import { language, say, t } from "./kit/words";
import { Browse } from "./browse/Browse";
import { askedOf, list } from "./browse/list";
import { refresh, running } from "./jobs/jobs";
import { RetrainDialog } from "./jobs/RetrainDialog";
import { KeysDialog } from "./KeysDialog";

/** The screen of one picture, with OpenLayers: a file of its own, so that the grid is there before it. */
const look = signal<((typeof import("./look/LookView"))["LookView"]) | null>(null);
void import("./look/LookView").then((module) => (look.value = module.LookView));

export function App() {
  const dialog = useSignal<"keys" | "retrain" | null>(null);
  const failed = useSignal<Refused | null>(null);
  const over = useSignal(false);
  const dropping = useSignal<string | null>(null);
  const file = useRef<HTMLInputElement>(null);

  useEffect(() => {
    openSession().then(() => refresh(), (error: unknown) => {
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
        const { id } = await api.drop(one);
        tell(t("dropped", { name: one.name }));
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
  const LookView = look.value;
  const at = id === null ? -1 : list.indexOf(id);
  const beside = (by: number) => () => (at < 0 ? null : list.row(at + by));
  return (
    <div
      class={`page ${id === null ? "" : "looking"}`}
      onDragOver={(event) => {
        if (!event.dataTransfer?.types.includes("Files")) return;
        event.preventDefault();
        over.value = true;
      }}
      onDragLeave={(event) => {
        if (event.relatedTarget === null) over.value = false;
      }}
      onDrop={(event) => {
        event.preventDefault();
        over.value = false;
        void take(event.dataTransfer?.files ?? null);
      }}
    >
      <header class="head">
        <p class="brand"><a href="#/">ossa studio</a></p>
        <p class="where" title={open.root ?? undefined}>{open.root ? open.root.replace(/^.*[\\/]/, "") : ""}</p>
        {open.model && <p class="model soft">{t("model_is", { name: open.model.name })}</p>}
        {open.indexing && open.indexing.done < open.indexing.total && (
          <p class="soft" role="status">{t("indexing", { done: open.indexing.done, total: open.indexing.total })}</p>
        )}
        <div class="group right">
          {open.writable && (
            <>
              <input ref={file} type="file" hidden accept=".png,.jpg,.jpeg,.tif,.tiff,.bmp,.dcm,application/dicom,image/*" aria-label={t("open_file")} onChange={(event) => { const input = event.currentTarget; void take(input.files).then(() => { input.value = ""; }); }} />
              <Button text label={t("open_file")} disabled={!open.model} onClick={() => file.current?.click()} />
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
        <a href="/static/licences.txt">{t("licences")}</a>
        <span class="soft">{open.version}</span>
      </footer>
      <Notices />
      {dropping.value && <div class="notices low"><p class="notice good" role="status">{t("predicting", { name: dropping.value })}</p></div>}
      {over.value && <div class="drop"><p>{t("drop_here")}</p></div>}
      {dialog.value === "keys" && <KeysDialog onClose={() => (dialog.value = null)} />}
      {dialog.value === "retrain" && <RetrainDialog onClose={() => (dialog.value = null)} />}
      <div class="spoken" aria-live="polite">{announced.value}</div>
    </div>
  );
}
