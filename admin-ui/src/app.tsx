// The frame around all pages: navigation, choices of the viewer, keys.

import { useEffect, useRef } from "preact/hooks";
import { Confirmation } from "./components/dialog";
import { Empty, Notices } from "./components/notices";
import { Page } from "./components/page";
import { Login } from "./pages/login";
import { find, isOpen, ROUTES } from "./pages/routes";
import { interval, setPollInterval, usePoll } from "./poll";
import { go, place } from "./router";
import { logout, user } from "./session";
import { setTheme, setVhost, type Theme, theme, vhost } from "./settings";

export function App() {
  if (user.value === undefined) return <p class="loading" role="status">Connecting…</p>;
  return (
    <>
      {user.value ? <Frame /> : <Login />}
      <Confirmation />
      <Notices />
    </>
  );
}

function Frame() {
  useKeys();
  const { parts } = place.value;
  const found = find(parts);
  const address = parts.join("\n");
  const shown = useRef(address);
  useEffect(() => {
    if (shown.current === address) return;
    shown.current = address;
    // A screen reader begins to read a new page at its title.
    document.getElementById("title")?.focus({ preventScroll: true });
    scrollTo(0, 0);
    closeMenu();
  }, [address]);
  return (
    <>
      <a class="skip" href="#main" onClick={(event) => {
        event.preventDefault();
        document.getElementById("main")?.focus();
      }}>Skip to the content</a>
      <header class="bar">
        <button type="button" class="bare burger" aria-label="Navigation" aria-controls="nav" onClick={toggleMenu}>☰</button>
        <a class="brand" href="#/">Leveret</a>
        <Choices />
      </header>
      <div class="frame">
        <Navigation here={parts} />
        <main id="main" tabIndex={-1}>
          {found && isOpen(found.route)
            ? <found.route.page key={address} parts={found.values} />
            : <Missing isClosed={Boolean(found)} />}
        </main>
      </div>
    </>
  );
}

function Missing({ isClosed }: { isClosed: boolean }) {
  return (
    <Page title={isClosed ? "Not for you" : "No such page"}>
      <Empty>
        <p>{isClosed ? "Your user has no tag that opens this page. An administrator can add one." : "There is nothing at this address."} <a href="#/">To the overview</a></p>
      </Empty>
    </Page>
  );
}

function Navigation({ here }: { here: string[] }) {
  const groups = new Map<string, typeof ROUTES>();
  for (const route of ROUTES.filter((route) => route.nav && isOpen(route))) {
    const group = route.nav?.group ?? "";
    groups.set(group, [...(groups.get(group) ?? []), route]);
  }
  const path = here.join("/");
  const isHere = (route: string) => route === path || (route !== "" && path.startsWith(`${route}/`));
  return (
    <nav id="nav" aria-label="Pages">
      {[...groups].map(([group, routes]) => (
        <div key={group}>
          {group && <h2 id={`nav-${group}`}>{group}</h2>}
          <ul aria-labelledby={group && `nav-${group}`}>
            {routes.map((route) => (
              <li key={route.path}><a href={`#/${route.path}`} aria-current={isHere(route.path) ? "page" : undefined}>{route.nav?.title}</a></li>
            ))}
          </ul>
        </div>
      ))}
    </nav>
  );
}

function Choices() {
  const { data } = usePoll<{ name: string }[]>("vhosts?columns=name");
  const names = (data ?? []).map(({ name }) => name);
  return (
    <div class="choices">
      <label><span>Virtual host</span> <select value={vhost.value} onChange={(event) => setVhost(event.currentTarget.value)}>
        <option value="">all</option>
        {[...new Set([...names, ...(vhost.value ? [vhost.value] : [])])].map((name) => <option key={name} value={name}>{name}</option>)}
      </select></label>
      <label><span>Refresh</span> <select value={interval.value} onChange={(event) => setPollInterval(Number(event.currentTarget.value))}>
        <option value={2}>every 2 s</option>
        <option value={5}>every 5 s</option>
        <option value={30}>every 30 s</option>
        <option value={0}>by hand</option>
      </select></label>
      <label><span>Theme</span> <select value={theme.value} onChange={(event) => setTheme(event.currentTarget.value as Theme)}>
        <option value="system">system</option>
        <option value="light">light</option>
        <option value="dark">dark</option>
      </select></label>
      <span class="who">{user.value?.name}{user.value?.tags.length ? <small> {user.value.tags.join(", ")}</small> : null}</span>
      <button type="button" onClick={() => void logout()}>Log out</button>
    </div>
  );
}

function toggleMenu() {
  document.body.classList.toggle("menu-open");
}

function closeMenu() {
  document.body.classList.remove("menu-open");
}

/** `/` goes to the filter; `g` and a letter go to a page. */
const JUMPS: Record<string, string> = { o: "#/", q: "#/queues", e: "#/exchanges", c: "#/connections", h: "#/channels", s: "#/mqtt/sessions", u: "#/users", p: "#/policies", v: "#/vhosts" };

function useKeys() {
  useEffect(() => {
    let isJump = false;
    const onKey = (event: KeyboardEvent) => {
      const target = event.target as HTMLElement;
      const isTyping = target.matches("input, textarea, select") || target.isContentEditable;
      if (isTyping || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
      if (isJump) {
        isJump = false;
        const to = JUMPS[event.key];
        if (to) go(to);
        return;
      }
      isJump = event.key === "g";
      if (event.key !== "/") return;
      const filter = document.querySelector<HTMLInputElement>("[data-filter]");
      if (filter) {
        event.preventDefault();
        filter.focus();
      }
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);
}
