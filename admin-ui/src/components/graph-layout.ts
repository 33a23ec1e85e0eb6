// Where the boxes and lines of a graph are: each thing in a column behind all that send to it, as far as
// there are no circles.

import type { GraphEdge, GraphNode } from "./graph";

export interface Box {
  node: GraphNode;
  x: number;
  y: number;
}

/** All that goes from one box to another is one line. */
export interface Path {
  from: string;
  to: string;
  labels: string[];
  d: string;
  labelX: number;
  labelY: number;
}

export interface Layout {
  boxes: Box[];
  paths: Path[];
  width: number;
  height: number;
}

export const WIDTH = 180;
export const HEIGHT = 40;
/** Between columns, where the keys stand, and between rows. */
const GAP_X = 170;
const GAP_Y = 18;
const MARGIN = 6;
/** How far below its boxes a line goes that runs back. */
const DIP = 34;

export function layOut(nodes: GraphNode[], edges: GraphEdge[]): Layout {
  const known = new Set(nodes.map((node) => node.id));
  const joined = join(edges.filter((edge) => known.has(edge.from) && known.has(edge.to)));
  const columns = order(inColumns(nodes, joined), joined);
  const column = new Map(columns.flatMap((column, n) => column.map((node) => [node.id, n] as const)));
  const runsBack = joined.some(({ from, to }) => (column.get(from) ?? 0) >= (column.get(to) ?? 0));
  const side = MARGIN + (runsBack ? DIP : 0);
  const rows = Math.max(0, ...columns.map((column) => column.length));
  const boxes: Box[] = columns.flatMap((column, n) => {
    const top = MARGIN + ((rows - column.length) * (HEIGHT + GAP_Y)) / 2;
    return column.map((node, row) => ({ node, x: side + n * (WIDTH + GAP_X), y: top + row * (HEIGHT + GAP_Y) }));
  });
  const at = new Map(boxes.map((box) => [box.node.id, box]));
  const paths = joined.flatMap((edge) => {
    const [from, to] = [at.get(edge.from), at.get(edge.to)];
    return from && to ? [{ ...edge, ...curve(from, to) }] : [];
  });
  return {
    boxes,
    paths,
    width: columns.length * (WIDTH + GAP_X) - GAP_X + 2 * side,
    height: rows * (HEIGHT + GAP_Y) - GAP_Y + 2 * MARGIN + (runsBack ? DIP : 0),
  };
}

interface Joined {
  from: string;
  to: string;
  labels: string[];
}

function join(edges: GraphEdge[]): Joined[] {
  const joined = new Map<string, Joined>();
  for (const { from, to, label } of edges) {
    const key = JSON.stringify([from, to]);
    const known = joined.get(key);
    if (known) known.labels.push(label);
    else joined.set(key, { from, to, labels: [label] });
  }
  return [...joined.values()];
}

/** Each node goes behind what sends to it. A circle would push without end: there are as many columns as nodes. */
function inColumns(nodes: GraphNode[], edges: Joined[]): GraphNode[][] {
  const forward = withoutCircles(nodes, edges);
  const column = new Map(nodes.map((node) => [node.id, 0]));
  for (let moved = true; moved;) {
    moved = false;
    for (const { from, to } of forward) {
      const least = (column.get(from) ?? 0) + 1;
      if ((column.get(to) ?? 0) >= least) continue;
      column.set(to, least);
      moved = true;
    }
  }
  const columns: GraphNode[][] = [];
  for (const node of nodes) (columns[column.get(node.id) ?? 0] ??= []).push(node);
  return columns;
}

/** The lines but those that lead back to where a walk along them came from. */
function withoutCircles(nodes: GraphNode[], edges: Joined[]): Joined[] {
  const from = new Map<string, Joined[]>();
  for (const edge of edges) from.set(edge.from, [...(from.get(edge.from) ?? []), edge]);
  const state = new Map<string, "open" | "done">();
  const kept: Joined[] = [];
  const walk = (id: string) => {
    state.set(id, "open");
    for (const edge of from.get(id) ?? []) {
      if (state.get(edge.to) === "open") continue;
      kept.push(edge);
      if (!state.has(edge.to)) walk(edge.to);
    }
    state.set(id, "done");
  };
  for (const node of nodes) if (!state.has(node.id)) walk(node.id);
  return kept;
}

/** Within a column, nodes stand where those that send to them stand: fewer lines cross. */
function order(columns: GraphNode[][], edges: Joined[]): GraphNode[][] {
  const row = new Map<string, number>();
  return columns.map((column) => {
    const place = (node: GraphNode) => {
      const before = edges.filter((edge) => edge.to === node.id).flatMap((edge) => row.get(edge.from) ?? []);
      return before.length ? before.reduce((sum, each) => sum + each, 0) / before.length : Number.MAX_SAFE_INTEGER;
    };
    const places = new Map(column.map((node) => [node.id, place(node)]));
    const ordered = [...column].sort((a, b) => (places.get(a.id) ?? 0) - (places.get(b.id) ?? 0));
    ordered.forEach((node, n) => row.set(node.id, n - ordered.length / 2));
    return ordered;
  });
}

function curve(from: Box, to: Box): { d: string; labelX: number; labelY: number } {
  const [x1, y1] = [from.x + WIDTH, from.y + HEIGHT / 2];
  const [x2, y2] = [to.x, to.y + HEIGHT / 2];
  if (x2 > x1) {
    // Flat at both ends, so that the arrow points into the box. The key stands in the last gap.
    const bend = GAP_X * 0.45;
    const d = `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`;
    const t = x2 - x1 > GAP_X ? 0.88 : 0.5;
    const along = (a: number, b: number, c: number, e: number) => (1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * b + 3 * (1 - t) * t ** 2 * c + t ** 3 * e;
    return { d, labelX: along(x1, x1 + bend, x2 - bend, x2), labelY: along(y1, y1, y2, y2) + 4 };
  }
  // Out to the right, below both boxes, and in from the left.
  const low = Math.max(from.y, to.y) + HEIGHT + DIP * 0.5;
  const d = `M${x1} ${y1}C${x1 + DIP} ${y1} ${x1 + DIP} ${low} ${x1 - DIP / 2} ${low}H${x2 + DIP / 2}C${x2 - DIP} ${low} ${x2 - DIP} ${y2} ${x2} ${y2}`;
  return { d, labelX: (x1 + x2) / 2, labelY: low + 4 };
}
