import { render } from "preact";
import { App } from "./app";
import { resume } from "./session";
import { applyTheme } from "./settings";
import "./style.css";

applyTheme();
const root = document.getElementById("app");
if (root) {
  render(<App />, root);
  void resume();
}
