import { useEffect } from "preact/hooks";
import { ApiError } from "../api";
import { Check, Form, Input } from "../components/form";
import { farewell, login } from "../session";

export function Login() {
  useEffect(() => {
    document.title = "Log in · Leveret";
  }, []);
  return (
    <main class="login">
      <h1>Leveret</h1>
      {farewell.value && <p class="hint" role="status">{farewell.value}</p>}
      <Form
        action="Log in"
        onSubmit={async (values) => {
          try {
            await login(values.text("username"), values.text("password"), values.isSet("remember"));
          } catch (error) {
            throw error instanceof ApiError && error.status === 401 ? new Error(refusal(error)) : error;
          }
        }}
      >
        <Input label="User" name="username" required autocomplete="username" />
        <Input label="Password" name="password" type="password" autocomplete="current-password" />
        <Check label="Stay logged in on this computer" name="remember" hint="For 30 days without use. The password is not kept." />
      </Form>
      <p class="hint">On a new broker, the user <code>guest</code> with the password <code>guest</code> is let in from the machine that the broker runs on.</p>
    </main>
  );
}

function refusal(error: ApiError): string {
  return error.kind === "not_authorised"
    ? "This user has no tag that opens the management. An administrator can add one, for example “management”."
    : "The name or the password is wrong, or this user may not log in from here.";
}
