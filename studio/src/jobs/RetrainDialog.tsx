// Retraining on the corrections: begin, watch, compare the new model with the old one.

import { useEffect, useState } from "preact/hooks";
import { api } from "../kit/api";
import { go, place } from "../kit/route";
import { complain, session, titleOf } from "../kit/store";
import { Button, Dialog, dice, Field } from "../kit/ui";
import { say, t, when, type Word } from "../kit/words";
import type { Job } from "../kit/types";
import { curve, jobs, refresh, running, start } from "./jobs";

const today = (): string => new Date().toISOString().slice(0, 10);

export function RetrainDialog({ onClose }: { onClose: () => void }) {
  const [epochs, setEpochs] = useState(10);
  const [name, setName] = useState(`corrected-${today()}`);
  useEffect(() => void refresh(), []);
  const busy = running.value !== null;
  return (
    <Dialog title={t("retrain")} wide onClose={onClose}>
      <p>{t("retrain_text")}</p>
      <form class="row end" onSubmit={(event) => { event.preventDefault(); void start(epochs, name); }}>
        <Field label={t("model_name")}><input name="name" required value={name} onInput={(event) => setName(event.currentTarget.value)} /></Field>
        <Field label={t("epochs")}><input name="epochs" type="number" min={1} max={1000} required value={epochs} onInput={(event) => setEpochs(Number(event.currentTarget.value))} /></Field>
        <button type="submit" class="button main" disabled={busy || !session.value?.writable}>{t("start")}</button>
      </form>
      {[...jobs.value].reverse().map((job) => <JobCard key={job.id} job={job} onClose={onClose} />)}
    </Dialog>
  );
}

function JobCard({ job, onClose }: { job: Job; onClose: () => void }) {
  const going = job.state === "queued" || job.state === "running";
  const cancel = async (): Promise<void> => {
    try {
      await api.cancel(job.id);
    } catch (error) {
      complain(error);
    }
    await refresh();
  };
  const show = (source: string): void => {
    go({ picture: null, asked: { ...place.value.asked, source, against: "truth", corrected: "true", sort: "score", order: "asc" } });
    onClose();
  };
  return (
    <section class="job">
      <header>
        <h3>{t(`job_${job.state}` as Word)}</h3>
        <span class="soft">{when(job.started)}</span>
        {going && <Button text label={t("stop")} onClick={() => void cancel()} />}
      </header>
      {going && <progress value={job.progress} max={1} aria-label={t("progress")} />}
      {job.message && <p class={job.state === "failed" ? "bad" : "soft"}>{say(job.message)}</p>}
      <div class="curves">
        {Object.entries(job.curves).filter(([, points]) => points.length > 0).map(([name, points]) => <Curve key={name} name={name} points={points} />)}
      </div>
      {job.result?.comparison && <Compared job={job} onShow={show} />}
    </section>
  );
}

function Curve({ name, points }: { name: string; points: [number, number][] }) {
  const values = points.map(([, y]) => y).filter(Number.isFinite);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const last = values[values.length - 1] ?? 0;
  const number = (value: number): string => (Math.abs(value) >= 0.001 ? value.toPrecision(3) : value.toExponential(1));
  return (
    <figure>
      <figcaption>{name} <strong>{number(last)}</strong></figcaption>
      <svg viewBox="-2 -4 244 88" role="img" aria-label={t("curve_of", { name, low: number(low), high: number(high), last: number(last) })}>
        <path class="base" d="M0 80H240M0 0V80" />
        <path class="line" d={curve(points, 240, 76, low, high)} />
      </svg>
    </figure>
  );
}

function Compared({ job, onShow }: { job: Job; onShow: (source: string) => void }) {
  const result = job.result!;
  const found = result.comparison!;
  const rows = Object.entries(found.bones)
    .filter(([, pair]) => pair[0] !== null && pair[1] !== null)
    .sort(([, a], [, b]) => Math.abs(b[1]! - b[0]!) - Math.abs(a[1]! - a[0]!));
  const change = (a: number | null, b: number | null): string => (a === null || b === null ? "–" : `${b >= a ? "+" : "−"}${Math.abs(b - a).toFixed(3).replace(/^0/, "")}`);
  return (
    <>
      {found.old === null ? <p class="soft">{t("all_trained_on")}</p> : (
        <p>
          {t("mean_dice")}: {t("old_model")} <strong>{dice(found.old)}</strong> → {t("new_model")} <strong>{dice(found.new)}</strong> ({change(found.old, found.new)})
        </p>
      )}
      {found.trained_on && found.trained_on.old !== null && (
        <p class="soft">{t("trained_on", { old: dice(found.trained_on.old), new: dice(found.trained_on.new) })}</p>
      )}
      <Button text kind="main" label={t("show_new_model")} onClick={() => onShow(result.source)} />
      {rows.length > 0 && (
        <div class="scroll" tabIndex={0} role="region" aria-label={t("per_bone")}>
          <table>
            <thead><tr><th scope="col">{t("bone")}</th><th scope="col">{t("old_model")}</th><th scope="col">{t("new_model")}</th><th scope="col">{t("change")}</th></tr></thead>
            <tbody>
              {rows.map(([name, [a, b]]) => (
                <tr key={name}><th scope="row">{titleOf(name)}</th><td>{dice(a)}</td><td>{dice(b)}</td><td class={b! < a! ? "bad" : "good"}>{change(a, b)}</td></tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </>
  );
}
