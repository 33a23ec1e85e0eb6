// A form below a table: opened by hand to add something, or for the row that is being edited.

import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

export function EditFold({ title, edits, children }: { title: string; edits: boolean; children: ComponentChildren }) {
  const element = useRef<HTMLDetailsElement>(null);
  useEffect(() => {
    if (!element.current || !edits) return;
    element.current.open = true;
    element.current.scrollIntoView({ block: "nearest" });
    element.current.querySelector("summary")?.focus();
  }, [edits, title]);
  return (
    <details ref={element} class="sub">
      <summary>{title}</summary>
      {children}
    </details>
  );
}
