// Small pieces that every part of the page uses.

import type { ComponentChildren } from "preact";
import { useId, useLayoutEffect, useRef } from "preact/hooks";
import { dismiss, notices } from "./store";
import { connection } from "./api";
import { t } from "./words";

const ICONS = {
  back: "M14 6l-6 6 6 6",
  next: "M10 6l6 6-6 6",
  hand: "M8 12V6.500a1.500 1.500 0 0 1 3 0V11m0-5.500a1.500 1.500 0 0 1 3 0V11m0-4a1.500 1.500 0 0 1 3 0v7c0 4-2.500 6-5.500 6-3.500 0-4.500-2-6-5l-1.300-2.600a1.400 1.400 0 0 1 2.400-1.400L8 13.500",
  points: "M6 18L10 7l8 3M4.500 16.500h3v3h-3zM8.500 5.500h3v3h-3zM16.500 8.500h3v3h-3z",
  pull: "M4 17c3 0 4-8 8-8s5 8 8 8M12 9V3m-2.500 2.500L12 3l2.500 2.500",
  redraw: "M4 20l1-4L16 5l3 3L8 19zM14 7l3 3",
  polygon: "M5 9l8-5 7 7-5 9-9-3z",
  smooth: "M4 15c4-10 7 4 9-2s4-6 7-1",
  exchange: "M5 9h13l-3-3m4 9H6l3 3",
  absent: "M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16zM6.500 6.500l11 11",
  unknown: "M9 9a3 3 0 1 1 4 2.800c-.8.4-1 .9-1 2.200m0 3v.5",
  undo: "M8 7L4 11l4 4M4 11h10a5 5 0 0 1 0 10h-3",
  redo: "M16 7l4 4-4 4M20 11H10a5 5 0 0 0 0 10h3",
  light: "M12 4a8 8 0 1 0 0 16V4zm0 0a8 8 0 0 1 0 16",
  invert: "M5 5h14v14H5zM5 19L19 5v14z",
  whole: "M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  close: "M6 6l12 12M18 6L6 18",
  trash: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13",
  keys: "M3 7h18v10H3zM7 11h0M11 11h0M15 11h0M8 14h8",
  filter: "M4 6h16M7 12h10M10 18h4",
} as const;
export type IconName = keyof typeof ICONS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" width="20" height="20" aria-hidden="true" focusable="false">
      <path d={ICONS[name]} />
    </svg>
  );
}

interface ButtonProps {
  icon?: IconName;
  label: string;
  /** The key that does the same. */
  shortcut?: string;
  pressed?: boolean;
  disabled?: boolean;
  text?: boolean;
  kind?: "plain" | "main" | "danger";
  onClick: () => void;
}

/** A button that says its name and its key on hover; with `text` the name stands in it. */
export function Button({ icon, label, shortcut, pressed, disabled, text, kind = "plain", onClick }: ButtonProps) {
  return (
    <button
      type="button"
      class={`button ${kind} ${text ? "" : "bare"}`}
      title={shortcut ? `${label} (${shortcut})` : label}
      aria-label={text ? undefined : label}
      aria-pressed={pressed}
      disabled={disabled}
      onClick={onClick}
    >
      {icon && <Icon name={icon} />}
      {text && <span>{label}</span>}
    </button>
  );
}

interface DialogProps {
  title: string;
  wide?: boolean;
  onClose: () => void;
  children: ComponentChildren;
}

/**
 * A modal dialog: the browser keeps the focus inside and gives it back. It opens as soon as it is there (a layout
 * effect, not one after painting), and Escape closes it at once, not when the page is drawn again: what is typed next
 * goes where one sees it going.
 */
export function Dialog({ title, wide, onClose, children }: DialogProps) {
  const at = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => {
    const dialog = at.current!;
    if (!dialog.open) dialog.showModal();
    return () => dialog.close();
  }, []);
  return (
    <dialog
      ref={at}
      class={wide ? "wide" : ""}
      aria-labelledby="dialog-title"
      onCancel={onClose}
      onClose={() => at.current && onClose()}
      onClick={(event) => {
        if (event.target === at.current) onClose();
      }}
    >
      <div class="dialog">
        <header>
          <h2 id="dialog-title">{title}</h2>
          <Button icon="close" label={t("close")} onClick={onClose} />
        </header>
        <Notices inside />
        {children}
      </div>
    </dialog>
  );
}

/** What the page has to tell. A modal dialog shows it inside, since everything outside is out of reach. */
export function Notices({ inside }: { inside?: boolean }) {
  const lost = connection.value;
  const shown = inside ? notices.value.filter((notice) => notice.kind === "bad") : notices.value;
  if (inside && shown.length === 0 && !lost.lost) return null;
  return (
    <div class={`notices ${inside ? "inside" : ""}`}>
      {lost.lost && (
        <div class="notice bad" role="alert">
          <p>
            <strong>{t("connection_lost")}</strong> {t("connection_retry", { n: lost.retry })}
          </p>
        </div>
      )}
      {shown.map((notice) => (
        <div key={notice.number} class={`notice ${notice.kind}`} role={notice.kind === "bad" ? "alert" : "status"}>
          <div>
            <p>
              <strong>{notice.text}</strong>
            </p>
            {notice.trouble && (
              <dl>
                {notice.trouble.found && (
                  <>
                    <dt>{t("found")}</dt>
                    <dd>{notice.trouble.found}</dd>
                  </>
                )}
                {notice.trouble.expected && (
                  <>
                    <dt>{t("expected")}</dt>
                    <dd>{notice.trouble.expected}</dd>
                  </>
                )}
                {notice.trouble.remedy && (
                  <>
                    <dt>{t("remedy")}</dt>
                    <dd>{notice.trouble.remedy}</dd>
                  </>
                )}
              </dl>
            )}
          </div>
          <Button icon="close" label={t("close")} onClick={() => dismiss(notice.number)} />
        </div>
      ))}
    </div>
  );
}

/** A labelled field in a row of fields. */
export function Field({ label, children }: { label: string; children: ComponentChildren }) {
  return (
    <label class="field">
      <span>{label}</span>
      {children}
    </label>
  );
}

interface ChoiceProps {
  label: string;
  value: string;
  options: { value: string; text: string }[];
  disabled?: boolean;
  onChange: (value: string) => void;
}

export function Choice({ label, value, options, disabled, onChange }: ChoiceProps) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <select id={id} value={value} disabled={disabled} onChange={(event) => onChange(event.currentTarget.value)}>
        {options.map((option) => (
          <option key={option.value} value={option.value}>
            {option.text}
          </option>
        ))}
      </select>
    </div>
  );
}

export const dice = (value: number | null | undefined): string =>
  value === null || value === undefined ? "–" : value.toFixed(3).replace(/^0/, "");
