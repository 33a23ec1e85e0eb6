// The frame of a page: its title, where it stands, its panels and facts.

import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";

interface PageProps {
  title: string;
  /** What kind of thing the title names, and the list it stands in. */
  kind?: { label: string; href: string };
  /** Beside the title, small. */
  badges?: ComponentChildren;
  actions?: ComponentChildren;
  children: ComponentChildren;
}

export function Page(props: PageProps) {
  useEffect(() => {
    document.title = `${props.title} · Leveret`;
  }, [props.title]);
  return (
    <>
      <header class="page-head">
        <div>
          {props.kind && <a class="kind" href={props.kind.href}>{props.kind.label}</a>}
          <h1 tabIndex={-1} id="title">{props.title} {props.badges}</h1>
        </div>
        {props.actions && <div class="actions">{props.actions}</div>}
      </header>
      {props.children}
    </>
  );
}

export function Panel(props: { title: string; hint?: ComponentChildren; actions?: ComponentChildren; children: ComponentChildren; wide?: boolean }) {
  return (
    <section class={props.wide ? "panel wide" : "panel"} aria-label={props.title}>
      <header>
        <h2>{props.title}</h2>
        {props.actions && <div class="actions">{props.actions}</div>}
      </header>
      {props.hint && <p class="hint">{props.hint}</p>}
      {props.children}
    </section>
  );
}

/** Panels side by side where there is room. */
export function Panels({ children }: { children: ComponentChildren }) {
  return <div class="panels">{children}</div>;
}

/** A part of a page that is opened when it is wanted. */
export function Fold(props: { title: string; open?: boolean; children: ComponentChildren }) {
  return (
    <details class="panel wide fold" open={props.open}>
      <summary><h2>{props.title}</h2></summary>
      {props.children}
    </details>
  );
}

export type Fact = [label: string, value: ComponentChildren, hint?: string];

/** Pairs of a name and a value; those without a value are left out. */
export function Facts({ of }: { of: (Fact | undefined | null | false)[] }) {
  return (
    <dl class="facts">
      {of.map((fact) => fact && fact[1] !== undefined && fact[1] !== null && fact[1] !== "" && (
        <div key={fact[0]}>
          <dt>{fact[0]}</dt>
          <dd>{fact[1]}{fact[2] && <small>{fact[2]}</small>}</dd>
        </div>
      ))}
    </dl>
  );
}

/** A short word about a thing; `tone` colours it, and the word alone has to be enough. */
export function Badge(props: { tone?: "good" | "bad" | "warn"; title?: string; children: ComponentChildren }) {
  return <span class={`badge ${props.tone ?? ""}`} title={props.title}>{props.children}</span>;
}
