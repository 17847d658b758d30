/**
 * The package's entries, read from the `exports` of package.json, which is the one place that lists them.
 *
 * @typedef {object} Entry
 * @property {string} subpath  as a consumer writes it: `.`, `./kernel.worker`
 * @property {string} name     of the built file, without extension: `index`
 * @property {string} file     built file, relative to the package: `dist/index.js`
 * @property {string} types    declarations, relative to the package: `dist/types/src/client/index.d.ts`
 * @property {string} source   what both are made from: `src/client/index.ts`
 */

/**
 * @param {{ exports: Record<string, string | { types: string, default: string }> }} manifest
 * @returns {Entry[]}
 */
export function entriesOf(manifest) {
  const entries = []
  for (const [subpath, target] of Object.entries(manifest.exports)) {
    if (typeof target === 'string') continue
    const name = /^\.\/dist\/([\w.-]+)\.js$/.exec(target.default)?.[1]
    const path = /^\.\/dist\/types\/(.+)\.d\.ts$/.exec(target.types)?.[1]
    if (!name || !path)
      throw new Error(`package.json: export ${subpath} must name ./dist/<name>.js and ./dist/types/<source>.d.ts`)
    entries.push({ subpath, name, file: `dist/${name}.js`, types: `dist/types/${path}.d.ts`, source: `${path}.ts` })
  }
  return entries
}
