// The list of all bindings.

import { BINDING_COLUMNS, type Binding, bindingKey, bindingName, UNBIND } from "../components/bindings";
import { listOf } from "../components/links";
import { type Column, List } from "../components/list";
import { Page } from "../components/page";

const { vhost, source, key, destination, kind, arguments: given } = BINDING_COLUMNS;
const COLUMNS: Column<Binding>[] = [vhost, source, key, destination, kind, given];

export function Bindings() {
  return (
    <Page title="Bindings">
      <List<Binding>
        id="bindings"
        caption="Bindings"
        target={listOf("bindings")}
        columns={COLUMNS}
        rowKey={bindingKey}
        rowName={bindingName}
        actions={[UNBIND]}
        empty={<p>A binding says which messages of an exchange go to a queue or to another exchange. There is none yet: clients make them, or you do on the page of an <a href="#/exchanges">exchange</a> or a <a href="#/queues">queue</a>.</p>}
      />
    </Page>
  );
}
