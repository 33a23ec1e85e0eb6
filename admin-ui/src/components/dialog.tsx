// Questions before something is destroyed, and forms above the page.

import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

interface Question {
  title: string;
  /** What is lost, in a sentence. */
  body: ComponentChildren;
  /** The words on the button. */
  action: string;
  /** What has to be typed before the button works: for what is not to happen by a slip of the hand. */
  typed?: string;
  answer: (yes: boolean) => void;
}

const question = signal<Question | null>(null);

/** Asks before something that cannot be undone. */
export function confirm(asked: Omit<Question, "answer">): Promise<boolean> {
  return new Promise((resolve) => {
    question.value = {
      ...asked,
      answer: (yes) => {
        question.value = null;
        resolve(yes);
      },
    };
  });
}

export function Confirmation() {
  const asked = question.value;
  const [typed, setTyped] = useState("");
  useEffect(() => setTyped(""), [asked]);
  if (!asked) return null;
  return (
    <Dialog title={asked.title} onClose={() => asked.answer(false)}>
      <div>{asked.body}</div>
      {asked.typed !== undefined && (
        <p class="field">
          <label for="typed">Type <q>{asked.typed}</q> to go on</label>
          <input id="typed" autocomplete="off" spellcheck={false} value={typed} onInput={(event) => setTyped(event.currentTarget.value)} />
        </p>
      )}
      <div class="buttons">
        <button type="button" autofocus onClick={() => asked.answer(false)}>Cancel</button>
        <button type="button" class="danger" disabled={asked.typed !== undefined && typed !== asked.typed} onClick={() => asked.answer(true)}>{asked.action}</button>
      </div>
    </Dialog>
  );
}

export function Dialog(props: { title: string; onClose: () => void; children: ComponentChildren }) {
  const element = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const dialog = element.current;
    const before = document.activeElement;
    dialog?.showModal();
    return () => {
      dialog?.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  return (
    <dialog
      ref={element}
      aria-label={props.title}
      onCancel={(event) => {
        event.preventDefault();
        props.onClose();
      }}
    >
      <header>
        <h2>{props.title}</h2>
        <button type="button" class="bare" aria-label="Close" onClick={props.onClose}>✕</button>
      </header>
      {props.children}
    </dialog>
  );
}
