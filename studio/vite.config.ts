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

// The built page is committed; names carry a hash of the content, so that browsers may keep the files for good.
// `assetsInlineLimit: 0`: a data URI in the style sheet would need a wider policy.
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
        entryFileNames: "assets/[name]-[hash].js",
        chunkFileNames: "assets/[name]-[hash].js",
        assetFileNames: "assets/[name]-[hash][extname]",
      },
    },
  },
  worker: { format: "es", rollupOptions: { output: { entryFileNames: "assets/[name]-[hash].js" } } },
  server: { proxy: { "/api": "http://127.0.0.1:8765" } },
  test: { include: ["test/**/*.test.ts"] },
});
