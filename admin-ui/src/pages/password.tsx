// Fields for the password of a user: as it is, by its hash, or none at all.

import { useState } from "preact/hooks";
import { Input, Select, type Values } from "../components/form";

const ALGORITHMS = [
  { value: "", label: "by its form" },
  { value: "leveret_argon2id", label: "Argon2id" },
  { value: "rabbit_password_hashing_sha256", label: "RabbitMQ, SHA-256" },
  { value: "rabbit_password_hashing_sha512", label: "RabbitMQ, SHA-512" },
  { value: "rabbit_password_hashing_md5", label: "RabbitMQ before 3.6, MD5" },
  { value: "leveret_bcrypt", label: "bcrypt" },
];

export function PasswordFields() {
  const [kind, setKind] = useState("password");
  return (
    <>
      <Select
        label="Login"
        name="login"
        value={kind}
        onChange={setKind}
        options={[{ value: "password", label: "with a password" }, { value: "hash", label: "with a password, given by its hash" }, { value: "none", label: "without a password: no login by password" }]}
      />
      {kind === "password" && (
        <div class="columns">
          <Input label="New password" name="password" type="password" required autocomplete="new-password" />
          <Input label="New password, once more" name="again" type="password" required autocomplete="new-password" />
        </div>
      )}
      {kind === "hash" && (
        <div class="columns">
          <Input label="Hash" name="hash" required hint="As an export of definitions has it." />
          <Select label="Made with" name="algorithm" options={ALGORITHMS} />
        </div>
      )}
      {kind === "none" && <p class="hint">For a user of whom only permissions are needed.</p>}
    </>
  );
}

/** The fields of the API. Throws with words for the user if the two passwords differ. */
export function passwordOf(values: Values): Record<string, string> {
  switch (values.text("login")) {
    case "hash": {
      const algorithm = values.text("algorithm");
      return { password_hash: values.text("hash").trim(), ...(algorithm && { hashing_algorithm: algorithm }) };
    }
    case "none":
      return { password_hash: "" };
    default:
      if (values.text("password") !== values.text("again")) throw new Error("The two passwords differ.");
      return { password: values.text("password") };
  }
}
