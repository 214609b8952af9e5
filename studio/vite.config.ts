import { writeFileSync } from "node:fs";
import { defineConfig } from "vitest/config";

/** Writes which packages the bundle holds, for scripts/stamp.mjs. */
const bundled = new Set<string>();
const remember = () => ({
  name: "remember",
  generateBundle(_: unknown, bundle: Record<string, { type: string; modules?: Record<string, { renderedLength: number }> }>) {
    for (const chunk of Object.values(bundle)) {
      for (const [id, { renderedLength }] of Object.entries(chunk.modules ?? {})) {
        const name = /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(id)?.[1];
        if (name && renderedLength > 0) bundled.add(name);
      }
    }
    writeFileSync("node_modules/.bundled.json", JSON.stringify([...bundled].sort()));
  },
});

// The built page is committed: names without hashes keep the differences between two builds readable, and the server
// sends an ETag with each file. `assetsInlineLimit: 0`: a data URI in the style sheet would need a wider policy.
export default defineConfig({
  base: "/static/",
  plugins: [remember()],
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: "../src/ossa/apps/studio/static",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    sourcemap: false,
    modulePreload: { polyfill: false },
    rollupOptions: {
      output: {
        codeSplitting: { groups: [{ name: "ol", test: /node_modules\/(ol|rbush|quickselect)\// }] },
        entryFileNames: "assets/[name].js",
        chunkFileNames: "assets/[name].js",
        assetFileNames: "assets/[name][extname]",
      },
    },
  },
  worker: { format: "es", rollupOptions: { output: { entryFileNames: "assets/[name].js" } } },
  server: { proxy: { "/api": "http://127.0.0.1:8765" } },
  test: { include: ["test/**/*.test.ts"] },
});
