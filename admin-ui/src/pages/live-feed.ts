// What a tap of the broker sends, the newest first; no more is kept than somebody would look at.

import { useEffect, useRef, useState } from "preact/hooks";
import { get } from "../api";
import type { Message } from "../components/message";

/** The rows that are kept. */
export const ROWS_MAX = 500;
/** New rows are drawn this often, however many there are. */
const DRAW_MS = 250;
/** A refusal comes within this time. */
const PROBE_MS = 10_000;

export interface Seen {
  id: number;
  at: number;
  message: Message;
}

export type State = "stopped" | "connecting" | "live" | "paused";

export interface Feed {
  state: State;
  error: Error | undefined;
  rows: Seen[];
  /** How many came, and how many did not because they were too many for the rate. */
  received: number;
  skipped: number;
  start: (target: string) => void;
  stop: () => void;
  /** What is shown stands still; what comes meanwhile is shown later. */
  pause: (isPaused: boolean) => void;
  clear: () => void;
}

interface Source {
  events: EventSource;
  probe: AbortController;
}

export function useFeed(): Feed {
  const source = useRef<Source | null>(null);
  // What came, also what is not drawn yet.
  const came = useRef({ rows: [] as Seen[], received: 0, skipped: 0, last: 0 });
  const timer = useRef(0);
  const [state, setState] = useState<State>("stopped");
  const isPaused = useRef(false);
  const [error, setError] = useState<Error>();
  const [drawn, setDrawn] = useState({ rows: [] as Seen[], received: 0, skipped: 0 });

  const draw = () => {
    timer.current = 0;
    const { rows, received, skipped } = came.current;
    setDrawn((before) => ({ rows: isPaused.current ? before.rows : rows, received, skipped }));
  };
  const drawSoon = () => {
    timer.current ||= window.setTimeout(draw, DRAW_MS);
  };
  const close = () => {
    source.current?.events.close();
    source.current?.probe.abort();
    source.current = null;
  };
  const stop = () => {
    close();
    isPaused.current = false;
    setState("stopped");
    drawSoon();
  };
  const start = (target: string) => {
    close();
    setError(undefined);
    setState("connecting");
    isPaused.current = false;
    const events = new EventSource(`api/${target}`);
    const probe = new AbortController();
    source.current = { events, probe };
    events.onopen = () => setState(isPaused.current ? "paused" : "live");
    events.addEventListener("message", (event) => {
      const seen = came.current;
      seen.last += 1;
      seen.received += 1;
      seen.rows = [{ id: seen.last, at: Date.now(), message: JSON.parse(event.data) as Message }, ...seen.rows].slice(0, ROWS_MAX);
      drawSoon();
    });
    events.addEventListener("skipped", (event) => {
      came.current.skipped += skippedIn(event.data);
      drawSoon();
    });
    events.onerror = () => {
      if (events.readyState !== EventSource.CLOSED) return setState("connecting");
      // It was refused, but an EventSource does not say why. If it is not refused now, the answer has no end.
      get(target, probe.signal).catch((error: Error) => probe.signal.aborted || setError(error));
      setTimeout(() => probe.abort(), PROBE_MS);
      setState("stopped");
    };
  };
  const pause = (yes: boolean) => {
    isPaused.current = yes;
    setState(yes ? "paused" : "live");
    draw();
  };
  const clear = () => {
    came.current = { ...came.current, rows: [], received: 0, skipped: 0 };
    setDrawn({ rows: [], received: 0, skipped: 0 });
  };
  useEffect(() => () => {
    close();
    clearTimeout(timer.current);
  }, []);
  return { state, error, ...drawn, start, stop, pause, clear };
}

function skippedIn(text: string): number {
  const told = JSON.parse(text) as { count: number };
  return told.count;
}
