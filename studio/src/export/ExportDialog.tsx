// Corrections as files: in the data set's own format or another one to take along, or back into the data set itself.

import { useEffect } from "preact/hooks";
import { useSignal } from "@preact/signals";
import { writing } from "../kit/api";
import { complain } from "../kit/store";
import { Button, Choice, Dialog } from "../kit/ui";
import { t } from "../kit/words";
import type { Exports, WrittenBack, WrittenExport } from "../kit/types";

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(bytes < 1e6 ? 2 : 1);

export function ExportDialog({ onClose }: { onClose: () => void }) {
  const offered = useSignal<Exports | null>(null);
  const format = useSignal("");
  const pictures = useSignal<"corrected" | "all">("corrected");
  const images = useSignal(false);
  const busy = useSignal(false);
  const written = useSignal<WrittenExport | null>(null);
  const back = useSignal<WrittenBack | null>(null);
  const sure = useSignal(false);

  const ask = async (): Promise<void> => {
    try {
      const found = await writing().exports();
      offered.value = found;
      if (!format.value) format.value = found.own ?? found.formats[0]?.name ?? "";
    } catch (error) {
      complain(error);
    }
  };
  useEffect(() => void ask(), []);
  const doing = async (what: () => Promise<void>): Promise<void> => {
    busy.value = true;
    try {
      await what();
    } catch (error) {
      complain(error);
    }
    busy.value = false;
    await ask();
  };
  const write = (): Promise<void> =>
    doing(async () => {
      written.value = await writing().export({ format: format.value || null, pictures: pictures.value, images: images.value });
    });
  const writeBack = (): Promise<void> =>
    doing(async () => {
      sure.value = false;
      back.value = await writing().writeBack();
    });

  const found = offered.value;
  const chosen = found?.formats.find((one) => one.name === format.value);
  const into = found?.write_back;
  return (
    <Dialog title={t("export")} wide onClose={onClose}>
      {!found ? <p role="status">{t("loading")}</p> : (
        <>
          <section class="part">
            <h3>{t("export_take")}</h3>
            <p class="soft">{t("export_text", { n: found.corrected })}</p>
            <form class="row end" onSubmit={(event) => { event.preventDefault(); void write(); }}>
              <Choice
                label={t("format")} value={format.value} onChange={(value) => (format.value = value)}
                options={found.formats.map((one) => ({ value: one.name, text: one.own ? t("format_own", { title: one.name }) : one.name }))}
              />
              <Choice
                label={t("which_pictures")} value={pictures.value} onChange={(value) => (pictures.value = value === "all" ? "all" : "corrected")}
                options={[{ value: "corrected", text: t("only_corrected", { n: found.corrected }) }, { value: "all", text: t("all_labelled", { n: found.labelled }) }]}
              />
              <label class="check"><input type="checkbox" checked={images.value} onChange={() => (images.value = !images.value)} />{t("with_images")}</label>
              <button type="submit" class="button main" disabled={busy.value || (pictures.value === "all" ? found.labelled : found.corrected) === 0}>{t("export_write")}</button>
            </form>
            {chosen && <p class="soft">{chosen.title}</p>}
            {chosen?.loses && <p class="soft">{chosen.loses}</p>}
            {written.value && <Written one={written.value} />}
          </section>
          {into && (
            <section class="part">
              <h3>{t("write_back")}</h3>
              <p class="soft">{into.able ? t("write_back_text", { n: into.pictures }) : into.reason}</p>
              {into.able && (sure.value ? (
                <div class="row">
                  <p>{t("write_back_sure", { n: into.pictures })}</p>
                  <Button text kind="danger" label={t("write_back_yes")} disabled={busy.value} onClick={() => void writeBack()} />
                  <Button text label={t("cancel")} onClick={() => (sure.value = false)} />
                </div>
              ) : <Button text label={t("write_back_do")} disabled={busy.value || into.pictures === 0} onClick={() => (sure.value = true)} />)}
              {back.value && (
                <div role="status">
                  <p><strong>{t("written_back", { n: back.value.written.length })}</strong>{back.value.unchanged > 0 && ` ${t("unchanged_n", { n: back.value.unchanged })}`}</p>
                  {back.value.kept && <p class="soft">{t("former_kept", { folder: back.value.kept })}</p>}
                  <Some said={back.value.skipped} />
                </div>
              )}
            </section>
          )}
        </>
      )}
    </Dialog>
  );
}

function Written({ one }: { one: WrittenExport }) {
  return (
    <div role="status">
      <p>
        <strong>{t("exported", { n: one.written, format: one.format })}</strong>{" "}
        <a class="button" href={writing().exportAt(one.id)} download>{t("download", { size: megabytes(one.size) })}</a>
      </p>
      {one.remark && <p class="soft">{one.remark}</p>}
      <Some said={[...(one.left_out ?? []), ...one.skipped]} />
    </div>
  );
}

/** What was left out, the first few of it. */
function Some({ said }: { said: readonly string[] }) {
  if (said.length === 0) return null;
  return (
    <ul class="soft">
      {said.slice(0, 5).map((line) => <li key={line}>{line}</li>)}
      {said.length > 5 && <li>… ({said.length})</li>}
    </ul>
  );
}
