// Calls of the management API, with the session that the browser's cookie names.

/** A refusal of the broker, or no answer at all (`status` 0). */
export class ApiError extends Error {
  constructor(readonly status: number, readonly kind: string, reason: string) {
    super(reason);
  }
}

/** A path whose values are encoded, each as one part: api`queues/${vhost}/${name}`. */
export function path(strings: TemplateStringsArray, ...values: (string | number)[]): string {
  return strings.reduce((whole, text, n) => whole + encodeURIComponent(String(values[n - 1])) + text);
}

/** Adds parameters to a path; those without a value are left out. */
export function query(base: string, parameters: Record<string, string | number | boolean | undefined>): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined && value !== "" && value !== false) search.set(name, String(value));
  }
  const text = search.toString();
  return text ? `${base}${base.includes("?") ? "&" : "?"}${text}` : base;
}

/** Told when the broker does not know the session any more. */
export const onSessionEnd = { notify: () => {} };

export async function call<T>(method: string, target: string, body?: unknown, signal?: AbortSignal, more?: Record<string, string>): Promise<T> {
  const headers: Record<string, string> = { ...more, "X-Requested-With": "leveret" };
  let content: BodyInit | undefined;
  if (body instanceof URLSearchParams || body instanceof Blob) content = body;
  else if (body !== undefined) {
    content = JSON.stringify(body);
    headers["Content-Type"] = "application/json";
  }
  let answer: Response;
  try {
    answer = await fetch(`api/${target}`, { method, headers, body: content, signal: signal ?? null, credentials: "same-origin" });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, "unreachable", "The broker does not answer. Is it running, and is the network up?");
  }
  const text = await answer.text();
  if (answer.ok) return parse(text) as T;
  const refusal = parse(text) as { error?: string; reason?: unknown } | undefined;
  const reason = refusal?.reason;
  const words = typeof reason === "string" ? reason : reason ? JSON.stringify(reason) : answer.statusText;
  // Whoever is known and may not do something gets `not_authorised`.
  if (answer.status === 401 && refusal?.error === "not_authorized") onSessionEnd.notify();
  throw new ApiError(answer.status, refusal?.error ?? "", words);
}

function parse(text: string): unknown {
  if (!text) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

export const get = <T>(target: string, signal?: AbortSignal) => call<T>("GET", target, undefined, signal);
export const put = <T = void>(target: string, body: unknown = {}) => call<T>("PUT", target, body);
export const post = <T = void>(target: string, body: unknown = {}) => call<T>("POST", target, body);
export const del = <T = void>(target: string, body?: unknown) => call<T>("DELETE", target, body);

/** A page of a list, as the broker sends it. */
export interface Page<T> {
  items: T[];
  page: number;
  page_count: number;
  page_size: number;
  filtered_count: number;
  total_count: number;
}
