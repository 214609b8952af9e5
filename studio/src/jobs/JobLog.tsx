// What a training says while it runs: the end of its log, asked on from where the last answer ended.

import { useEffect, useRef } from "preact/hooks";
import { useSignal } from "@preact/signals";
import { Refused, writing } from "../kit/api";
import { complain } from "../kit/store";
import { t } from "../kit/words";

/** Bytes of a log that is long already which are shown of it, and letters that are kept. */
const FROM_END = 20_000;
const KEPT = 60_000;

export function JobLog({ id, going }: { id: string; going: boolean }) {
  const text = useSignal("");
  const at = useRef<HTMLPreElement>(null);

  useEffect(() => {
    let stopped = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const ask = async (from: number): Promise<void> => {
      try {
        const got = await writing().jobLog(id, from);
        if (stopped) return;
        if (got.text) {
          const low = at.current;
          const below = !low || low.scrollTop + low.clientHeight > low.scrollHeight - 30;
          text.value = (text.value + got.text).slice(-KEPT);
          // Whoever reads further up is left there.
          if (below) requestAnimationFrame(() => at.current?.scrollTo(0, at.current.scrollHeight));
        }
        if (!got.ended || got.more) timer = setTimeout(() => void ask(got.next), got.more ? 0 : 1000);
      } catch (error) {
        if (!stopped && !(error instanceof Refused && error.status === 404)) complain(error);
      }
    };
    void ask(-FROM_END);
    return () => {
      stopped = true;
      clearTimeout(timer);
    };
  }, [id]);

  return <pre ref={at} class="log" tabIndex={0} role="log" aria-label={t("log")} aria-live={going ? "polite" : "off"}>{text.value || t("log_empty")}</pre>;
}
