/** Everything in one file, as for a container without `node_modules`. */
export default {
  entry: ['program.mjs'],
  format: ['cjs'],
  outDir: 'out/tsup',
  outExtension: () => ({ js: '.cjs' }),
  noExternal: [/.*/],
  target: 'node20',
  silent: true,
};
