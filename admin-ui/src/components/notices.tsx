// What the user is told: short notes of what was done, and errors that say what to do.

import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { ApiError } from "../api";

interface Note {
  id: number;
  kind: "done" | "failed";
  text: string;
}

const notes = signal<Note[]>([]);
let last = 0;

/** How long a note of success stays; failures stay until they are closed. */
const STAYS_MS = 6000;
const NOTES_MAX = 5;

export function tell(kind: Note["kind"], text: string): void {
  const id = (last += 1);
  notes.value = [...notes.value, { id, kind, text }].slice(-NOTES_MAX);
  if (kind === "done") setTimeout(() => dismiss(id), STAYS_MS);
}

function dismiss(id: number): void {
  notes.value = notes.value.filter((note) => note.id !== id);
}

/** Runs an action and says how it went; says whether it succeeded. */
export async function attempt(done: string, action: () => Promise<unknown>): Promise<boolean> {
  try {
    await action();
    tell("done", done);
    return true;
  } catch (error) {
    tell("failed", explain(error));
    return false;
  }
}

/** An error in words, with what can be done. */
export function explain(error: unknown): string {
  if (!(error instanceof ApiError)) return error instanceof Error ? error.message : String(error);
  switch (error.status) {
    case 0:
      return error.message;
    case 401:
      return `You may not do this: ${error.message} Ask an administrator for the permission or the tag that is missing.`;
    case 404:
      return `It is not there (any more): ${error.message}`;
    case 503:
      return `The broker takes nothing now: ${error.message} See the alarms on the overview.`;
    default:
      return error.message;
  }
}

export function Notices() {
  return (
    <div class="notices" role="status" aria-live="polite">
      {notes.value.map((note) => (
        <div key={note.id} class={`notice ${note.kind}`}>
          <span>{note.text}</span>
          <button type="button" class="bare" aria-label="Close this note" onClick={() => dismiss(note.id)}>✕</button>
        </div>
      ))}
    </div>
  );
}

/** Stands where something could not be shown. */
export function Failure({ error }: { error: Error }) {
  return <p class="failure" role="alert">{explain(error)}</p>;
}

/** Stands where there is nothing yet, and says how something comes here. */
export function Empty({ children }: { children: ComponentChildren }) {
  return <div class="empty">{children}</div>;
}
