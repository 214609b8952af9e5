// After both builds: the licences of what was bundled, and a hash of the sources, beside the built files. A Python test
// compares the hash with the sources, so that a page that was not built again is noticed without node.

import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";

const here = new URL("..", import.meta.url).pathname;
const built = { production: join(here, "../src/ossa/apps/studio/static"), gallery: join(here, "../src/ossa/pages/static") };

/** Everything that the built pages depend on, by path: sources, what is copied, and the versions. */
function sources() {
  const walk = (folder) =>
    readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
      entry.isDirectory() ? walk(join(folder, entry.name)) : [join(folder, entry.name)],
    );
  const files = [...walk(join(here, "src")), ...walk(join(here, "public"))];
  for (const name of ["index.html", "package.json", "package-lock.json", "tsconfig.json", "vite.config.ts"]) files.push(join(here, name));
  return files.map((file) => [relative(here, file).replaceAll("\\", "/"), file]).sort(([a], [b]) => (a < b ? -1 : 1));
}

const hash = createHash("sha256");
for (const [name, file] of sources()) hash.update(`${name}\n`).update(readFileSync(file)).update("\n");
writeFileSync(join(built.production, "sources.json"), `${JSON.stringify({ sha256: hash.digest("hex") })}\n`);

// The packages whose code is in a bundle (vite.config.ts writes their names), each with its licence's text.
for (const [mode, folder] of Object.entries(built)) {
  const names = JSON.parse(readFileSync(join(here, `node_modules/.bundled-${mode}.json`), "utf8"));
  const parts = ["This page is part of ossa (Apache-2.0). It contains code of these packages.\n"];
  for (const name of names) {
    const home = join(here, "node_modules", name);
    const { version, license } = JSON.parse(readFileSync(join(home, "package.json"), "utf8"));
    const file = readdirSync(home).find((entry) => /^licen[cs]e/i.test(entry));
    if (!file) throw new Error(`${name} has no licence file`);
    parts.push(`${"-".repeat(100)}\n${name} ${version} (${license})\n\n${readFileSync(join(home, file), "utf8").trim()}\n`);
  }
  writeFileSync(join(folder, "licences.txt"), parts.join("\n"));
  console.log(`${mode}: licences of ${names.join(", ")}`);
}
