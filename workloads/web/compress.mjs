// Lays a brotli and a gzip form beside each file of the build that gets smaller by it: a server sends them as they are.
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const TEXT = /\.(html|js|css|json|svg|webmanifest)$/;
/** Smaller files fit one packet either way, bytes. */
const WORTH_IT = 1_024;

const files = readdirSync('dist', { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile() && TEXT.test(entry.name));
for (const file of files) {
  const path = join(file.parentPath, file.name);
  const plain = readFileSync(path);
  if (plain.length < WORTH_IT) continue;
  writeFileSync(`${path}.br`, brotliCompressSync(plain, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: plain.length } }));
  writeFileSync(`${path}.gz`, gzipSync(plain, { level: 9 }));
}
console.log(`compressed what is worth it of ${files.length} files`);
