// Runs in the connector's folder, with its packages: node --eval SCRIPT -- WIT-FOLDER OUT.

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const [wit, out] = process.argv.slice(-2);

async function tool(name) {
  try {
    return await import(name);
  } catch (error) {
    if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new Error(`${name} is not among the packages: npm install --save-dev --save-exact ${name}`);
  }
}

try {
  const { build } = await tool('esbuild');
  const { componentize } = await tool('@bytecodealliance/componentize-js');
  const { main = 'src/connector.js' } = JSON.parse(await readFile('package.json', 'utf8'));
  const bundle = join(wit, 'bundle.js');
  const { metafile } = await build({
    entryPoints: [main],
    outfile: bundle,
    bundle: true,
    format: 'esm',
    target: 'es2022',
    platform: 'neutral',
    mainFields: ['module', 'main'],
    external: ['jackfield:*'],
    charset: 'utf8',
    logLevel: 'warning',
    metafile: true,
  });
  const exported = Object.values(metafile.outputs).flatMap((output) => output.exports);
  if (!exported.includes('connector')) throw new Error(`${main} has to export connector`);
  const optional = ['webhooks', 'discovery', 'choices'].filter((name) => exported.includes(name));
  const { component } = await componentize({
    sourcePath: bundle,
    witPath: wit,
    worldName: ['guest', ...optional].join('-'),
    // Without these there is no WASI among the imports: what a connector may do, the host does.
    disableFeatures: ['random', 'stdio', 'clocks', 'http', 'fetch-event'],
  });
  await writeFile(out, component);
} catch (error) {
  console.error(error.errors ? 'esbuild cannot read it' : String(error.message ?? error));
  process.exit(1);
}
