import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The distribution's Python, which has the packages that serve as oracles (python3-onnx, python3-numpy …). */
const PYTHON = process.env.SIEVE_TEST_PYTHON ?? '/usr/bin/python3';
const answers = new Map<string, boolean>();

/** Whether these Python modules can be imported; where not, prints once what is left untested and why. */
export function hasPython(...modules: readonly string[]): boolean {
  const statement = `import ${modules.join(', ')}`;
  const known = answers.get(statement);
  if (known !== undefined) return known;
  let found = true;
  try {
    execFileSync(PYTHON, ['-c', statement], { stdio: 'pipe' });
  } catch (error) {
    found = false;
    const reason = error instanceof Error ? (error.message.trim().split('\n').at(-1) ?? '') : String(error);
    console.warn(`Not compared with Python (${modules.join(', ')}): ${reason}`);
  }
  answers.set(statement, found);
  return found;
}

/** Runs a script and reads the JSON it prints. `files` are written to a folder first; argv[1] is that folder. */
export function runPython(script: string, files: Readonly<Record<string, Uint8Array | string>> = {}): unknown {
  const folder = mkdtempSync(join(tmpdir(), 'onnx-sieve-python-'));
  try {
    for (const [name, contents] of Object.entries(files)) writeFileSync(join(folder, name), contents);
    const printed = execFileSync(PYTHON, ['-c', script, folder], { maxBuffer: 1 << 28 });
    return JSON.parse(printed.toString('utf8'));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Problems that the ONNX checker finds, by file name; an empty object where every model passes. */
export function onnxProblems(models: Readonly<Record<string, Uint8Array>>): Record<string, string> {
  return runPython(CHECK, models) as Record<string, string>;
}

/** The same, with shapes and types inferred and compared with those that the model states. */
export function onnxFullProblems(models: Readonly<Record<string, Uint8Array>>): Record<string, string> {
  return runPython(CHECK.replace('check_model(model)', 'check_model(model, full_check=True)'), models) as Record<
    string,
    string
  >;
}

const CHECK = `
import sys, os, json, onnx
problems = {}
for name in sorted(os.listdir(sys.argv[1])):
    try:
        model = onnx.load(os.path.join(sys.argv[1], name))
        onnx.checker.check_model(model)
    except Exception as error:
        problems[name] = str(error)
print(json.dumps(problems))
`;
