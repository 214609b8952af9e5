import { t } from "../kit/words";

/** "L" and "R" in words; what is neither stays. */
export const sideText = (side: string): string =>
  /^l/i.test(side) ? t("side_left") : /^r/i.test(side) ? t("side_right") : side;
