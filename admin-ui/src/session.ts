// Who is logged in, and what that user may see. The password is never kept; the browser holds a cookie that
// scripts cannot read.

import { signal } from "@preact/signals";
import { ApiError, call, get, onSessionEnd } from "./api";

export interface User {
  name: string;
  tags: string[];
}

/** `undefined` until the broker has said whether there is a session, `null` without one. */
export const user = signal<User | null | undefined>(undefined);

/** Why the login page is shown, if there is something to say. */
export const farewell = signal("");

onSessionEnd.notify = () => {
  if (user.value) {
    farewell.value = "Your session is over. Log in again to go on where you were.";
    user.value = null;
  }
};

export async function resume(): Promise<void> {
  try {
    user.value = await get<User>("whoami");
  } catch (error) {
    user.value = null;
    if (error instanceof ApiError && error.status === 0) farewell.value = error.message;
  }
}

export async function login(name: string, password: string, remember: boolean): Promise<void> {
  const form = new URLSearchParams({ username: name, password });
  if (remember) form.set("remember", "true");
  await call("POST", "login", form);
  farewell.value = "";
  await resume();
}

export async function logout(): Promise<void> {
  await call("DELETE", "login").catch(() => {});
  farewell.value = "";
  user.value = null;
}

type Right = "policymaker" | "monitoring" | "administrator";

/** Whether the user's tags open this part of the API. */
export function may(right: Right): boolean {
  const tags = user.value?.tags ?? [];
  return tags.includes("administrator") || tags.includes(right);
}
