import { writeFileSync } from "node:fs";
import { defineConfig } from "vitest/config";

/** Writes which packages a bundle holds, for scripts/stamp.mjs. */
const bundled = new Set<string>();
const remember = (mode: string) => ({
  name: "remember",
  generateBundle(_: unknown, bundle: Record<string, { type: string; modules?: Record<string, { renderedLength: number }> }>) {
    for (const chunk of Object.values(bundle)) {
      for (const [id, { renderedLength }] of Object.entries(chunk.modules ?? {})) {
        const name = /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(id)?.[1];
        if (name && renderedLength > 0) bundled.add(name);
      }
    }
    writeFileSync(`node_modules/.bundled-${mode}.json`, JSON.stringify([...bundled].sort()));
  },
});

// Both built pages are committed. The studio's: names carry a hash of the content, so that browsers may keep the files
// for good; `assetsInlineLimit: 0`: a data URI in the style sheet would need a wider policy.
const studio = {
  outDir: "../src/ossa/apps/studio/static",
  emptyOutDir: true,
  rollupOptions: {
    output: {
      codeSplitting: { groups: [{ name: "ol", test: /node_modules\/(ol|rbush|quickselect)\// }] },
      entryFileNames: "assets/[name]-[hash].js",
      chunkFileNames: "assets/[name]-[hash].js",
      assetFileNames: "assets/[name]-[hash][extname]",
    },
  },
};

// The gallery's (`--mode gallery`): one classic script, because browsers load no modules from the disk.
const gallery = {
  outDir: "../src/ossa/pages/static",
  emptyOutDir: false,
  cssCodeSplit: false,
  rollupOptions: {
    input: { gallery: "src/gallery/main.tsx" },
    output: { format: "iife" as const, codeSplitting: false, entryFileNames: "[name].js", assetFileNames: "gallery[extname]" },
  },
};

export default defineConfig(({ mode }) => ({
  base: mode === "gallery" ? "./" : "/static/",
  publicDir: mode === "gallery" ? false : "public",
  plugins: [remember(mode)],
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: { ...(mode === "gallery" ? gallery : studio), target: "es2022", assetsInlineLimit: 0, sourcemap: false, modulePreload: { polyfill: false } },
  worker: { format: "es", rollupOptions: { output: { entryFileNames: "assets/[name]-[hash].js" } } },
  server: { proxy: { "/api": "http://127.0.0.1:8765" } },
  test: { include: ["test/**/*.test.ts"] },
}));
