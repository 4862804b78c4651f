import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

const PYTHON = '/usr/bin/python3';

/** A Python program that stays alive: every line it reads is a request as JSON, every line it writes the answer. */
export interface PythonService<Request, Answer> {
  /** Answers come in the order of the requests. Rejects where the program reports `error` or has ended. */
  readonly ask: (request: Request) => Promise<Answer>;
  readonly close: () => Promise<void>;
}

export function startPython<Request, Answer>(program: string): PythonService<Request, Answer> {
  const child = spawn(PYTHON, ['-c', program], { stdio: ['pipe', 'pipe', 'pipe'] });
  const waiting: { resolve: (answer: Answer) => void; reject: (error: Error) => void }[] = [];
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-2000);
  });
  createInterface({ input: child.stdout }).on('line', (line) => {
    const answer = JSON.parse(line) as Answer & { readonly error?: string };
    const next = waiting.shift();
    if (answer.error === undefined) next?.resolve(answer);
    else next?.reject(new Error(answer.error));
  });
  const ended = new Promise<void>((resolve) => {
    child.on('close', () => {
      for (const { reject } of waiting.splice(0)) reject(new Error(`Python has ended: ${said}`));
      resolve();
    });
  });
  return {
    ask: (request) =>
      new Promise((resolve, reject) => {
        waiting.push({ resolve, reject });
        child.stdin.write(`${JSON.stringify(request)}\n`);
      }),
    close() {
      child.stdin.end();
      return ended;
    },
  };
}
