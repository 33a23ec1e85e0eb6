// One AMQP channel: what it may, what it has not settled, its consumers and rates.

import { path, query } from "../api";
import { RangePicker, useHistory } from "../components/chart";
import { ConnectionLink, UserLink, VhostLink } from "../components/links";
import { Table } from "../components/list";
import { Failure } from "../components/notices";
import { type Fact, Facts, Page, Panel, Panels } from "../components/page";
import { number, plural } from "../format";
import { usePoll } from "../poll";
import { type Channel as Data, Mode } from "./channels";
import { Gone, Messages } from "./connection";
import { CONSUMER_COLUMNS } from "./consumers";

export function Channel({ parts: [name = ""] }: { parts: string[] }) {
  const histories = useHistory(["msg_rates"]);
  const { data, error } = usePoll<Data>(query(path`channels/${name}`, histories));
  return (
    <Page title={name} kind={{ label: "Channels", href: "#/channels" }} badges={data && <Mode of={data} />} actions={<RangePicker />}>
      {error && ("status" in error && error.status === 404 ? <Gone what="channel" list="#/channels" /> : <Failure error={error} />)}
      {data && (
        <Panels>
          <Panel title="Messages"><Messages of={data.message_stats} /></Panel>
          <Panel title="Channel"><Facts of={facts(data)} /></Panel>
          <Panel title="Consumers" wide>
            {data.consumer_details?.length
              ? <Table caption="Consumers" columns={CONSUMER_COLUMNS.filter(({ id }) => id !== "channel" && id !== "vhost")} rows={data.consumer_details} rowKey={(row) => row.consumer_tag} />
              : <p class="hint">Nothing is consumed over this channel.</p>}
          </Panel>
        </Panels>
      )}
    </Page>
  );
}

function facts(data: Data): (Fact | false)[] {
  const limit = (count: number, of: string) => (count > 0 ? `${plural(count, "message")} ${of}` : "no limit");
  return [
    ["Connection", <ConnectionLink key="connection" name={data.connection_details.name} />],
    ["Number", number(data.number)],
    ["User", <UserLink key="user" name={data.user} />],
    ["Virtual host", <VhostLink key="vhost" name={data.vhost} />],
    ["State", data.state],
    ["Publishes", data.confirm ? "with confirms: the broker says when it has taken a message" : data.transactional ? "in transactions: messages count once they are committed" : "without confirms: the client does not learn whether a message was taken"],
    ["Prefetch of each consumer", limit(data.prefetch_count, "without acknowledgement"), "For consumers that begin from now on."],
    ["Prefetch of the channel", limit(data.global_prefetch_count, "without acknowledgement, over all its consumers")],
    ["Unacknowledged", number(data.messages_unacknowledged), "Delivered, and neither acknowledged nor rejected yet."],
    data.confirm && ["Unconfirmed", number(data.messages_unconfirmed), "Published, and not safe yet."],
    data.transactional && ["Not committed", `${plural(data.messages_uncommitted, "message")}, ${plural(data.acks_uncommitted, "acknowledgement")}`],
  ];
}
