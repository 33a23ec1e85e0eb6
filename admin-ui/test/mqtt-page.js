// What the tests of the MQTT client do in its page.

export const button = (page, name) => page.getByRole("button", { name, exact: true });
/** The rows of the messages that have arrived. */
export const arrivals = (page) => page.locator("button.arrival");

/** Fills in the form that connects, and sends it. */
export async function enter(page, { user = "guest", password = "guest", clientId = "", keepAlive, keep, isClean = true } = {}) {
  await page.getByLabel("MQTT user").fill(user);
  await page.getByLabel("MQTT password").fill(password);
  await page.getByLabel("Client identifier").fill(clientId);
  if (keepAlive !== undefined) await page.getByLabel("Keep alive").fill(String(keepAlive));
  if (keep !== undefined) await page.getByLabel("Keep the session").fill(String(keep));
  await page.getByLabel("Clean start").setChecked(isClean);
  await button(page, "Connect").click();
}
