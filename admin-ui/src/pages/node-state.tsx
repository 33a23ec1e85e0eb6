import { Badge } from "../components/page";
import type { NodeData } from "./overview";

export function NodeState({ node }: { node: NodeData }) {
  if (node.mem_alarm) return <Badge tone="bad">memory alarm: publishers wait</Badge>;
  if (node.disk_free_alarm) return <Badge tone="bad">disk alarm: publishers wait</Badge>;
  return <Badge tone="good">running, no alarms</Badge>;
}
