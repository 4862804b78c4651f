// Reads native/sources.json for binding.gyp, one item a line:
//   node scripts/native/sources.mjs sources core|addon|<instruction set>
//   node scripts/native/sources.mjs flags common|<instruction set> gnu|msvc
import { readFileSync } from 'node:fs';

const list = JSON.parse(readFileSync(new URL('../../native/sources.json', import.meta.url), 'utf8'));

function instructionSet(name) {
  const found = list.instructionSets.find((set) => set.name === name);
  if (found === undefined) throw new Error(`Expected an instruction set of native/sources.json but received "${name}"`);
  return found;
}

const [what, part, compiler] = process.argv.slice(2);
const items =
  what === 'flags'
    ? (part === 'common' ? list.flags : instructionSet(part).flags)[compiler]
    : (list[part] ?? instructionSet(part).sources);
for (const item of items) console.log(item);
