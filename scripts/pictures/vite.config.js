/** Packs page.jsx and Grafana's components; `--outDir` is given by main.ts. */
export default {
  base: './',
  esbuild: { jsx: 'automatic' },
  logLevel: 'warn',
  build: { chunkSizeWarningLimit: 20_000 },
};
