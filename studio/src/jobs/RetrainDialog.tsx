// Retraining on the corrections: begin, watch, compare the new model with the old one.

import { useEffect, useState } from "preact/hooks";
import { writing } from "../kit/api";
import { go, place } from "../kit/route";
import { complain, session, titleOf } from "../kit/store";
import { Button, Choice, Dialog, dice, Field } from "../kit/ui";
import { say, t, when, type Word } from "../kit/words";
import type { Job, JobOptions } from "../kit/types";
import { lookWith } from "../look/last";
import { JobLog } from "./JobLog";
import { curve, jobs, refresh, running, start } from "./jobs";

const today = (): string => new Date().toISOString().slice(0, 10);

/** Minutes and seconds, as long as it still takes. */
const left = (seconds: number): string => (seconds < 90 ? t("seconds_n", { n: Math.round(seconds) }) : t("minutes_n", { n: Math.round(seconds / 60) }));

export function RetrainDialog({ onClose }: { onClose: () => void }) {
  const [epochs, setEpochs] = useState(10);
  const [name, setName] = useState(`corrected-${today()}`);
  const [pictures, setPictures] = useState<"corrected" | "all">("corrected");
  const [options, setOptions] = useState<JobOptions | null>(null);
  const busy = running.value !== null;
  useEffect(() => {
    void refresh();
    writing().jobOptions().then(setOptions, complain);
  }, [busy]);
  const taken = options?.[pictures];
  const problem = taken?.problem;
  return (
    <Dialog title={t("retrain")} wide onClose={onClose}>
      <p>{t("retrain_text")}</p>
      <form class="row end" onSubmit={(event) => { event.preventDefault(); void start(epochs, name, pictures); }}>
        <Field label={t("model_name")}><input name="name" required value={name} onInput={(event) => setName(event.currentTarget.value)} /></Field>
        <Field label={t("epochs")}><input name="epochs" type="number" min={1} max={1000} required value={epochs} onInput={(event) => setEpochs(Number(event.currentTarget.value))} /></Field>
        {options && options.all.pictures > options.corrected.pictures && (
          <Choice
            label={t("train_on")} value={pictures} onChange={(value) => setPictures(value === "all" ? "all" : "corrected")}
            options={[{ value: "corrected", text: t("train_corrected", { n: options.corrected.pictures }) }, { value: "all", text: t("train_all", { n: options.all.pictures }) }]}
          />
        )}
        <button type="submit" class="button main" disabled={busy || !session.value?.writable || !!problem}>{t("start")}</button>
      </form>
      {taken && !problem && <p class="soft">{t("train_pictures", { n: taken.pictures, people: taken.people })}</p>}
      {problem && (
        <div class="why" role="status">
          <p>{problem.message}{problem.found ? `: ${problem.found}` : ""}</p>
          {problem.expected && <p class="soft">{t("expected")}: {problem.expected}</p>}
          {problem.remedy && <p class="soft">{problem.remedy}</p>}
        </div>
      )}
      {jobs.value.map((job, n) => <JobCard key={job.id} job={job} newest={n === 0} onClose={onClose} />)}
    </Dialog>
  );
}

function JobCard({ job, newest, onClose }: { job: Job; newest: boolean; onClose: () => void }) {
  const going = job.state === "queued" || job.state === "running";
  const [open, setOpen] = useState(newest && going);
  const cancel = async (): Promise<void> => {
    try {
      await writing().cancel(job.id);
    } catch (error) {
      complain(error);
    }
    await refresh();
  };
  const show = (source: string): void => {
    go({ picture: null, asked: { ...place.value.asked, source, against: "truth", corrected: "true", sort: "score", order: "asc" } });
    onClose();
  };
  const compare = (picture: string): void => {
    const old = session.value?.sources.find((source) => source.kind === "model" && source.id !== job.result!.source);
    lookWith(job.result!.source, old ? [old.id, "truth"] : ["truth"]);
    go({ picture, asked: place.value.asked });
    onClose();
  };
  return (
    <section class="job">
      <header>
        <h3>{t(`job_${job.state}` as Word)}</h3>
        <span class="soft">{when(job.started)}</span>
        {job.pictures && <span class="soft">{t("pictures", { n: job.pictures.corrected + job.pictures.others })}</span>}
        {job.state === "running" && job.eta_seconds != null && <span class="soft">{t("time_left", { time: left(job.eta_seconds) })}</span>}
        {going && <Button text label={t("stop")} onClick={() => void cancel()} />}
      </header>
      {going && <progress value={job.progress} max={1} aria-label={t("progress")} />}
      {job.message && <p class={job.state === "failed" ? "bad" : "soft"}>{say(job.message)}</p>}
      <div class="curves">
        {Object.entries(job.curves).filter(([, points]) => points.length > 0).map(([name, points]) => <Curve key={name} name={name} points={points} />)}
      </div>
      {job.result?.comparison && <Compared job={job} onShow={show} onCompare={compare} />}
      <details class="said" open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary>{t("log")}</summary>
        {open && <JobLog id={job.id} going={going} />}
      </details>
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

function Compared({ job, onShow, onCompare }: { job: Job; onShow: (source: string) => void; onCompare: (picture: string) => void }) {
  const result = job.result!;
  const found = result.comparison!;
  const rows = Object.entries(found.bones)
    .filter(([, pair]) => pair[0] !== null && pair[1] !== null)
    .sort(([, a], [, b]) => Math.abs(b[1]! - b[0]!) - Math.abs(a[1]! - a[0]!));
  const pictures = [...(found.pictures ?? [])].sort((a, b) => Number(a.trained_on) - Number(b.trained_on) || a.name.localeCompare(b.name));
  const change = (a: number | null, b: number | null): string => (a === null || b === null ? "–" : `${b >= a ? "+" : "−"}${Math.abs(b - a).toFixed(3).replace(/^0/, "")}`);
  return (
    <>
      {found.old === null ? <p class="soft">{t("all_trained_on")}</p> : (
        <p>
          {found.held_out ? t("held_out", { n: found.held_out }) : t("mean_dice")}: {t("old_model")} <strong>{dice(found.old)}</strong> → {t("new_model")} <strong>{dice(found.new)}</strong> ({change(found.old, found.new)})
        </p>
      )}
      {found.trained_on && found.trained_on.old !== null && (
        <p class="soft">{t("trained_on", { old: dice(found.trained_on.old), new: dice(found.trained_on.new) })}</p>
      )}
      <Button text kind="main" label={t("show_new_model")} onClick={() => onShow(result.source)} />
      {pictures.length > 0 && (
        <div class="scroll" tabIndex={0} role="region" aria-label={t("per_picture")}>
          <table>
            <thead><tr><th scope="col">{t("picture")}</th><th scope="col">{t("old_model")}</th><th scope="col">{t("new_model")}</th><th scope="col">{t("change")}</th></tr></thead>
            <tbody>
              {pictures.map((one) => (
                <tr key={one.id}>
                  <th scope="row">
                    <button type="button" class="link" title={t("compare_models")} onClick={() => onCompare(one.id)}>{one.name.replace(/^.*\//, "")}</button>
                    {one.trained_on && <span class="soft"> {t("was_trained_on")}</span>}
                  </th>
                  <td>{dice(one.old)}</td><td>{dice(one.new)}</td>
                  <td class={(one.new ?? 0) < (one.old ?? 0) ? "bad" : "good"}>{change(one.old, one.new)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
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
