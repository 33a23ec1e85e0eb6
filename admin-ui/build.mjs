// Builds the UI: `node build.mjs [DIRECTORY]`, by default into `dist`.
//
// What the broker serves is compressed here, once: every file comes out as NAME.gz, and `files.txt` lists
// them. Names of scripts and styles hold a hash of what is in them, so that browsers may keep them.

import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import zopfli from "@gfx/zopfli";
import { build } from "esbuild";
import { minify } from "terser";

const root = dirname(fileURLToPath(import.meta.url));
const out = process.argv[2] ?? join(root, "dist");
const BYTES_MAX = 100 * 1024;
const ZOPFLI_ROUNDS = 15;

const bundle = await build({
  absWorkingDir: root,
  entryPoints: ["src/main.tsx"],
  bundle: true,
  format: "esm",
  target: ["es2022"],
  jsx: "automatic",
  jsxImportSource: "preact",
  legalComments: "none",
  minify: true,
  outdir: "assets",
  entryNames: "app-[hash]",
  write: false,
});

const files = new Map();
for (const { path, contents } of bundle.outputFiles) {
  const name = `assets/${path.split(/[\\/]/).pop()}`;
  // esbuild joins modules quickly, terser makes fewer bytes of them: 4 % less once they are compressed.
  const options = { module: true, ecma: 2020, compress: { passes: 2 } };
  const small = name.endsWith(".js") ? (await minify(Buffer.from(contents).toString(), options)).code : contents;
  files.set(name, Buffer.from(small));
}
const icon = readFileSync(join(root, "src/icon.svg"));
const iconName = `assets/icon-${createHash("sha256").update(icon).digest("hex").slice(0, 8)}.svg`;
files.set(iconName, icon);
const named = (ending) => [...files.keys()].find((name) => name.endsWith(ending));
const page = readFileSync(join(root, "src/index.html"), "utf8")
  .replace("{icon}", iconName)
  .replace("{style}", named(".css"))
  .replace("{script}", named(".js"));
files.set("index.html", Buffer.from(page));

rmSync(out, { recursive: true, force: true });
let total = 0;
for (const [name, contents] of files) {
  const packed = await zopfli.gzipAsync(contents, { numiterations: ZOPFLI_ROUNDS });
  total += packed.length;
  const path = join(out, `${name}.gz`);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, packed);
}
writeFileSync(join(out, "files.txt"), [...files.keys()].map((name) => `${name}\n`).join(""));
console.log(`${files.size} files, ${total} bytes compressed`);
if (total > BYTES_MAX) {
  console.error(`The UI may take ${BYTES_MAX} bytes.`);
  process.exit(1);
}
