// A form that publishes a retained message: the new value of a topic.

import { post } from "../api";
import { ArgumentsInput, parsePairs } from "../components/arguments";
import { Form, Input, Select, TextArea, type Values } from "../components/form";
import { tell } from "../components/notices";

interface RetainedFormProps {
  /** The topic; it is asked for if this is absent. */
  topic?: string;
  payload?: string;
  contentType?: string;
  onDone: (topic: string) => void;
}

export function RetainedForm(props: RetainedFormProps) {
  const publish = async (values: Values) => {
    const topic = props.topic ?? values.text("topic");
    const payload = values.text("payload");
    if (payload === "") throw new Error("An empty message clears the topic. Use Clear for that.");
    const seconds = values.number("expiry");
    await post("mqtt/publish", {
      topic,
      payload,
      payload_encoding: values.text("encoding"),
      qos: Number(values.text("qos")),
      retain: true,
      properties: {
        content_type: values.text("content_type") || undefined,
        message_expiry_interval: seconds,
        user_properties: Object.fromEntries(parsePairs(values.text("user_properties"))),
      },
    });
    tell("done", `Set the value of ${topic}.`);
    props.onDone(topic);
  };
  return (
    <Form action="Publish retained" onSubmit={publish}>
      {props.topic === undefined && <Input label="Topic" name="topic" required placeholder="sensors/kitchen/temp" />}
      <TextArea label="Value" name="payload" rows={5} value={props.payload ?? ""} required />
      <div class="columns">
        <Select label="The value is" name="encoding" options={[{ value: "string", label: "text" }, { value: "base64", label: "base64 of octets" }]} />
        <Select label="QoS" name="qos" value="1" options={["0", "1", "2"]} />
        <Input label="Content type" name="content_type" value={props.contentType} list={["application/json", "text/plain"]} />
        <Input label="Expires after" name="expiry" type="number" min={1} hint="Seconds; empty is never." />
      </div>
      <ArgumentsInput name="user_properties" label="User properties" isText />
    </Form>
  );
}
