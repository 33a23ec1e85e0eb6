// What the viewer chose, kept in this browser. Nothing secret is.

import { signal } from "@preact/signals";

const PREFIX = "leveret.";

export function recall(name: string, otherwise: string): string {
  try {
    return localStorage.getItem(PREFIX + name) ?? otherwise;
  } catch {
    return otherwise;
  }
}

export function store(name: string, value: string): void {
  try {
    localStorage.setItem(PREFIX + name, value);
  } catch {
    // A browser that keeps nothing: the choice holds until the page is left.
  }
}

export type Theme = "system" | "light" | "dark";

export const theme = signal<Theme>(recall("theme", "system") as Theme);

export function setTheme(value: Theme): void {
  theme.value = value;
  store("theme", value);
  applyTheme();
}

export function applyTheme(): void {
  const root = document.documentElement;
  if (theme.value === "system") root.removeAttribute("data-theme");
  else root.setAttribute("data-theme", theme.value);
}

const dark = matchMedia("(prefers-color-scheme: dark)");

/** What the system shows, whatever the viewer chose here. */
export const isSystemDark = signal(dark.matches);
dark.addEventListener("change", () => {
  isSystemDark.value = dark.matches;
});

/** The virtual host that lists are about; empty means all. */
export const vhost = signal(recall("vhost", ""));

export function setVhost(value: string): void {
  vhost.value = value;
  store("vhost", value);
}
