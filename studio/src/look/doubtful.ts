// The walk through pictures by the judge's confidence: whoever corrects the most doubtful ones teaches the model most.

import { api } from "../kit/api";
import { go, place } from "../kit/route";
import { announced, complain, session, tell } from "../kit/store";
import { t } from "../kit/words";

export async function openDoubtful(after: string | null, source: string | null): Promise<void> {
  try {
    // The truth doubts nothing: then the server goes by the model.
    const kind = session.value?.sources.find((one) => one.id === source)?.kind;
    const { id } = await api.doubtful(after, kind === "truth" ? null : source);
    if (id === null) tell(announced.value = t("no_doubtful"));
    else go({ picture: id, asked: place.value.asked });
  } catch (error) {
    complain(error);
  }
}

