// How messages flow, drawn: things as boxes in columns from left to right, bindings as lines between them.
//
// The same in words is in a list below the picture, so that nobody needs to see the picture.

import { plural } from "../format";
import { type Box, HEIGHT, layOut, type Path, WIDTH } from "./graph-layout";
import "./graph.css";

export interface GraphNode {
  id: string;
  kind: "exchange" | "queue" | "session";
  label: string;
  /** What kind of thing it is, in words; `kind` by default. */
  note?: string;
  href?: string;
}

export interface GraphEdge {
  from: string;
  to: string;
  /** What takes this way: a routing key, or what stands for it. */
  label: string;
}

interface GraphProps {
  title: string;
  nodes: GraphNode[];
  edges: GraphEdge[];
  /** The node that the page is about. */
  focus?: string;
}

/** More than these would be no picture any more. */
const NODES_MAX = 60;

export function Graph({ title, nodes, edges, focus }: GraphProps) {
  const kept = nodes.length > NODES_MAX ? nearest(nodes, edges, focus) : nodes;
  const { boxes, paths, width, height } = layOut(kept, edges);
  const left = nodes.length - kept.length;
  return (
    <figure class="graph">
      <div class="graph-frame" tabIndex={0} role="group" aria-label={title}>
        <svg width={width} height={height} viewBox={`0 0 ${width} ${height}`} role="group" aria-label={`${title}, drawn`}>
          <defs>
            <marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto-start-reverse">
              <path d="M0 0 8 4 0 8z" />
            </marker>
          </defs>
          {paths.map((path) => <Line key={`${path.from}\n${path.to}`} path={path} />)}
          {boxes.map((box) => <Node key={box.node.id} box={box} isFocus={box.node.id === focus} />)}
        </svg>
      </div>
      {left > 0 && <p class="hint">The picture leaves out {plural(left, "thing")} that would not fit; the tables have them all.</p>}
      <details class="graph-words">
        <summary>In words</summary>
        <ul>{paths.map((path) => <Words key={`${path.from}\n${path.to}`} path={path} boxes={boxes} />)}</ul>
      </details>
    </figure>
  );
}

/** Those that can be reached from the focus by the fewest lines. */
function nearest(nodes: GraphNode[], edges: GraphEdge[], focus: string | undefined): GraphNode[] {
  const start = nodes.find((node) => node.id === focus) ?? nodes[0];
  const kept = new Set(start ? [start.id] : []);
  for (const id of kept) {
    for (const edge of edges) {
      if (kept.size >= NODES_MAX) break;
      if (edge.from === id) kept.add(edge.to);
      else if (edge.to === id) kept.add(edge.from);
    }
  }
  return nodes.filter((node) => kept.has(node.id));
}

function Node({ box: { node, x, y }, isFocus }: { box: Box; isFocus: boolean }) {
  const drawn = (
    <g class={`node ${node.kind}${isFocus ? " focus" : ""}`}>
      <title>{node.label}</title>
      <rect x={x} y={y} width={WIDTH} height={HEIGHT} rx={node.kind === "exchange" ? HEIGHT / 2 : 5} />
      <text class="note" x={x + WIDTH / 2} y={y + 15}>{node.note ?? node.kind}</text>
      <text x={x + WIDTH / 2} y={y + 32}>{short(node.label, LABEL_CHARS)}</text>
    </g>
  );
  return node.href && !isFocus ? <a href={node.href}>{drawn}</a> : drawn;
}

function Line({ path }: { path: Path }) {
  const whole = path.labels.map(named).join(", ");
  const more = path.labels.length > 1 ? ` +${path.labels.length - 1}` : "";
  return (
    <g class="edge">
      <title>{whole}</title>
      <path d={path.d} marker-end="url(#arrow)" />
      <text x={path.labelX} y={path.labelY}>{short(named(path.labels[0] ?? ""), KEY_CHARS - more.length)}{more}</text>
    </g>
  );
}

function Words({ path, boxes }: { path: Path; boxes: Box[] }) {
  const name = (id: string) => {
    const node = boxes.find((box) => box.node.id === id)?.node;
    if (!node) return id;
    return <>{node.note ?? node.kind} {node.href ? <a href={node.href}>{node.label}</a> : <b>{node.label}</b>}</>;
  };
  return <li>{name(path.from)} sends to {name(path.to)}: <code>{path.labels.map(named).join(", ")}</code></li>;
}

const LABEL_CHARS = 22;
const KEY_CHARS = 20;

function named(label: string): string {
  return label === "" ? "(empty key)" : label;
}

function short(text: string, chars: number): string {
  const points = [...text];
  return points.length > chars ? `${points.slice(0, chars - 1).join("")}…` : text;
}
