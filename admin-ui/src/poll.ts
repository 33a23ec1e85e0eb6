// Data that stays fresh: asked for again and again while somebody can see the page.

import { signal } from "@preact/signals";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { get } from "./api";
import { recall, store } from "./settings";

/** Seconds between two looks; 0 means that nothing is refreshed by itself. */
export const interval = signal(Number(recall("interval", "5")));

export function setPollInterval(seconds: number): void {
  interval.value = seconds;
  store("interval", String(seconds));
}

export interface Polled<T> {
  data: T | undefined;
  error: Error | undefined;
  refresh: () => void;
}

/** What the API answers at `target`, which is asked again after each interval; nothing is asked for `null`. */
export function usePoll<T>(target: string | null): Polled<T> {
  const [state, setState] = useState<{ target: string | null; data?: T; error?: Error }>({ target });
  const [turn, setTurn] = useState(0);
  const seconds = interval.value;
  const isFirst = useRef(true);
  const refresh = useCallback(() => setTurn((turn) => turn + 1), []);

  useEffect(() => {
    if (target === null) return;
    const abort = new AbortController();
    let timer = 0;
    const look = async () => {
      clearTimeout(timer);
      if (!document.hidden || isFirst.current) {
        isFirst.current = false;
        try {
          const data = await get<T>(target, abort.signal);
          setState({ target, data });
        } catch (error) {
          if (abort.signal.aborted) return;
          setState((before) => ({ target, data: before.target === target ? before.data : undefined, error: error as Error }));
        }
      }
      if (seconds > 0 && !abort.signal.aborted) timer = window.setTimeout(look, seconds * 1000);
    };
    const onVisible = () => {
      if (!document.hidden && seconds > 0) void look();
    };
    void look();
    document.addEventListener("visibilitychange", onVisible);
    return () => {
      abort.abort();
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", onVisible);
    };
  }, [target, turn, seconds]);

  // What was said of another place is not shown for this one.
  const isOfTarget = state.target === target;
  return { data: isOfTarget ? state.data : undefined, error: isOfTarget ? state.error : undefined, refresh };
}
